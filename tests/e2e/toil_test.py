"""Without this: a workflow manager that knows only AWS Batch (Toil, as Debian has it) cannot run on Millrace."""

import json
import os
import subprocess
import sys
import unittest

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
from batch_setup import make_queue  # noqa: E402
from millrace_server import MillraceServer  # noqa: E402

WORKFLOW = os.path.join(here, "toil_workflow.py")


def write_endpoint_rules(folder, endpoint):
    """Debian's botocore knows no AWS_ENDPOINT_URL, and Toil has no option: say it where botocore looks for models."""
    def built_in(name, kind, **more):
        return {"builtIn": name, "type": kind, "documentation": "", **more}

    rules = {
        "version": "1.0",
        "parameters": {
            "Region": built_in("AWS::Region", "String", required=False),
            "UseDualStack": built_in("AWS::UseDualStack", "Boolean", required=True, default=False),
            "UseFIPS": built_in("AWS::UseFIPS", "Boolean", required=True, default=False),
            "Endpoint": built_in("SDK::Endpoint", "String", required=False)},
        "rules": [{"conditions": [], "type": "endpoint",
                   "endpoint": {"url": endpoint, "properties": {}, "headers": {}}}]}
    model = os.path.join(folder, "batch", "2016-08-10")
    os.makedirs(model)
    with open(os.path.join(model, "endpoint-rule-set-1.json"), "w") as file:
        json.dump(rules, file)


class Toil(unittest.TestCase):
    def test_a_workflow_that_fans_out_and_in(self):
        with MillraceServer(["--runtime", "process", "--vcpus", "4"]) as server:
            batch = server.boto3("batch")
            make_queue(batch, "toil")
            models = os.path.join(server.folder, "models")
            write_endpoint_rules(models, server.endpoint)
            done = subprocess.run(
                ["/usr/bin/python3", WORKFLOW, f"file:{server.folder}/jobs", "--batchSystem", "aws_batch",
                 "--awsBatchQueue", "toil", "--awsBatchRegion", server.environment["AWS_REGION"],
                 "--workDir", server.folder, "--disableProgress"],
                env={**server.environment, "AWS_DATA_PATH": models}, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=240)
            self.assertEqual(done.returncode, 0, done.stderr[-4000:])
            said = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
            self.assertEqual(said["sum"], ["285"])

            jobs = {status: batch.list_jobs(jobQueue="toil", jobStatus=status)["jobSummaryList"]
                    for status in ("SUCCEEDED", "FAILED", "RUNNING")}
            self.assertEqual((len(jobs["SUCCEEDED"]), jobs["FAILED"], jobs["RUNNING"]), (12, [], []), done.stderr)
            ids = {job["jobId"] for job in jobs["SUCCEEDED"]}
            self.assertEqual(len(set(said["children"])), 10)
            self.assertLessEqual({*said["children"], *said["last"]}, ids)
            described = {job["jobId"]: job for job in batch.describe_jobs(jobs=list(ids))["jobs"]}
            last = described[said["last"][0]]
            for child in said["children"]:
                self.assertLessEqual(described[child]["stoppedAt"], last["createdAt"])
            # Toil makes a definition of its own and takes it back in the end.
            definitions = batch.describe_job_definitions()["jobDefinitions"]
            self.assertEqual([(d["status"], d["jobDefinitionArn"]) for d in definitions],
                             [("INACTIVE", last["jobDefinition"])])


if __name__ == "__main__":
    unittest.main(verbosity=2)
