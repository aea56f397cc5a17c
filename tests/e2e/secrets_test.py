"""Without this: a secret that was acknowledged is lost, is readable on disk, or does not reach the job (or all of them)."""

import base64
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from botocore.exceptions import ClientError  # noqa: E402

from batch_setup import make_queue, wait_for_job  # noqa: E402
from millrace_server import MillraceServer  # noqa: E402

PLAIN = "pla1n-%s" % os.urandom(12).hex()  # of this run: nothing else has it
PARAMETER = "param-%s" % os.urandom(12).hex()
ROLE = "arn:aws:iam::123456789012:role/execution"


def code_of(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


class Secrets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = MillraceServer()
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.queue = make_queue(cls.server.boto3("batch"))

    def client(self, name):
        return self.server.boto3(name)

    def job(self, name, secrets, command, **more):
        batch = self.client("batch")
        definition = batch.register_job_definition(
            jobDefinitionName=name, type="container",
            containerProperties={"image": "any", "command": command, "executionRoleArn": ROLE, "secrets": secrets,
                                 "resourceRequirements": [{"type": "VCPU", "value": "1"},
                                                          {"type": "MEMORY", "value": "64"}]},
            **more)["jobDefinitionArn"]
        job = batch.submit_job(jobName=name, jobQueue=self.queue, jobDefinition=definition)["jobId"]
        return wait_for_job(batch, job), batch.describe_job_definitions(jobDefinitions=[definition])

    def lines(self, job):
        stream = job["container"]["logStreamName"]
        events = self.client("logs").get_log_events(logGroupName="/aws/batch/job", logStreamName=stream,
                                                    startFromHead=True)["events"]
        return [event["message"] for event in events]

    def assert_nowhere(self, *plaintexts):
        """In no file of the server, and in nothing that it printed."""
        needles = [p.encode() for p in plaintexts] + [base64.b64encode(p.encode()).rstrip(b"=")[:-1]
                                                      for p in plaintexts]
        seen = 0
        for folder, _, names in os.walk(self.server.folder):
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.isfile(path):
                    continue
                with open(path, "rb") as file:
                    data = file.read()
                seen += len(data)
                for needle in needles:
                    self.assertNotIn(needle, data, path)
        self.assertGreater(seen, 10_000, "the data folder was looked at")
        for needle in plaintexts:
            self.assertNotIn(needle, "".join(self.server.output))

    def test_life_of_a_secret(self):
        client = self.client("secretsmanager")
        made = client.create_secret(Name="life", SecretString="one", Tags=[{"Key": "team", "Value": "a"}])
        self.assertRegex(made["ARN"], r":secret:life-[A-Za-z0-9]{6}$")
        put = client.put_secret_value(SecretId=made["ARN"], SecretBinary=b"\0two")
        self.assertEqual(put["VersionStages"], ["AWSCURRENT"])
        self.assertEqual(client.get_secret_value(SecretId="life")["SecretBinary"], b"\0two")
        self.assertEqual(client.get_secret_value(SecretId="life", VersionStage="AWSPREVIOUS")["SecretString"], "one")
        client.update_secret(SecretId="life", Description="of a test", SecretString="three")
        described = client.describe_secret(SecretId="life")
        self.assertEqual(described["Description"], "of a test")
        self.assertEqual(len(described["VersionIdsToStages"]), 2)
        self.assertEqual(described["Tags"], [{"Key": "team", "Value": "a"}])
        listed = client.list_secrets(Filters=[{"Key": "tag-key", "Values": ["te"]}, {"Key": "name", "Values": ["li"]}])
        self.assertEqual([s["Name"] for s in listed["SecretList"]], ["life"])
        self.assertEqual(len(client.list_secret_version_ids(SecretId="life", IncludeDeprecated=True)["Versions"]), 3)
        policy = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]})
        self.assertEqual(code_of(client.put_resource_policy, SecretId="life", ResourcePolicy=policy,
                                 BlockPublicPolicy=True), "PublicPolicyException")
        client.put_resource_policy(SecretId="life", ResourcePolicy=policy)
        self.assertEqual(client.get_resource_policy(SecretId="life")["ResourcePolicy"], policy)
        self.assertEqual(code_of(client.put_resource_policy, SecretId="life", ResourcePolicy="{"),
                         "MalformedPolicyDocumentException")
        self.assertEqual(code_of(client.rotate_secret, SecretId="life"), "InvalidRequestException")
        client.delete_secret(SecretId="life", RecoveryWindowInDays=7)
        self.assertEqual(code_of(client.get_secret_value, SecretId="life"), "InvalidRequestException")
        self.assertNotIn("life", [s["Name"] for s in client.list_secrets()["SecretList"]])
        client.restore_secret(SecretId="life")
        self.assertEqual(client.get_secret_value(SecretId="life")["SecretString"], "three")
        client.delete_secret(SecretId="life", ForceDeleteWithoutRecovery=True)
        self.assertEqual(code_of(client.describe_secret, SecretId="life"), "ResourceNotFoundException")
        with self.assertRaises(ClientError) as refused:
            client.delete_secret(SecretId="x", RecoveryWindowInDays=6)
        self.assertEqual(refused.exception.response["Error"]["Message"],
                         "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")

    def test_passwords_are_as_asked_for(self):
        client = self.client("secretsmanager")
        passwords = {client.get_random_password(PasswordLength=8, ExcludePunctuation=True,
                                                ExcludeCharacters="abc")["RandomPassword"] for _ in range(20)}
        self.assertEqual(len(passwords), 20)
        for password in passwords:
            self.assertRegex(password, r"^[d-zA-Z0-9]{8}$")
            for each in (r"[a-z]", r"[A-Z]", r"[0-9]"):
                self.assertRegex(password, each)

    def test_aws_cli(self):
        self.server.aws("secretsmanager", "create-secret", "--name", "cli/secret", "--secret-string", "from the cli")
        text = self.server.aws("secretsmanager", "get-secret-value", "--secret-id", "cli/secret", "--query",
                               "SecretString", "--output", "text").stdout
        self.assertEqual(text.strip(), "from the cli")
        self.server.aws("ssm", "put-parameter", "--name", "/cli/p", "--type", "SecureString", "--value", "v")
        out = json.loads(self.server.aws("ssm", "get-parameters-by-path", "--path", "/cli", "--with-decryption").stdout)
        self.assertEqual([p["Value"] for p in out["Parameters"]], ["v"])
        gone = self.server.aws("ssm", "get-parameter", "--name", "/cli/none", check=False)
        self.assertIn("ParameterNotFound", gone.stderr)

    def test_parameters(self):
        ssm = self.client("ssm")
        ssm.put_parameter(Name="/t/a", Type="String", Value="1", Tags=[{"Key": "k", "Value": "v"}])
        self.assertEqual(code_of(ssm.put_parameter, Name="/t/a", Type="String", Value="2"), "ParameterAlreadyExists")
        self.assertEqual(ssm.put_parameter(Name="/t/a", Value="2", Overwrite=True)["Version"], 2)
        ssm.put_parameter(Name="/t/b/c", Type="StringList", Value="x,y")
        sealed = ssm.put_parameter(Name="/t/s", Type="SecureString", Value=PARAMETER + "-not-shown")
        self.assertEqual(sealed["Tier"], "Standard")
        self.assertNotIn(PARAMETER, ssm.get_parameter(Name="/t/s")["Parameter"]["Value"])
        self.assertEqual(ssm.get_parameter(Name="/t/a:1")["Parameter"]["Value"], "1")
        self.assertEqual([p["Name"] for p in ssm.get_parameters_by_path(Path="/t")["Parameters"]], ["/t/a", "/t/s"])
        self.assertEqual(len(ssm.get_parameters_by_path(Path="/t", Recursive=True)["Parameters"]), 3)
        got = ssm.get_parameters(Names=["/t/a", "/t/none"])
        self.assertEqual(([p["Value"] for p in got["Parameters"]], got["InvalidParameters"]), (["2"], ["/t/none"]))
        found = ssm.describe_parameters(ParameterFilters=[{"Key": "tag:k", "Values": ["v"]}])["Parameters"]
        self.assertEqual([p["Name"] for p in found], ["/t/a"])
        self.assertEqual([h["Version"] for h in ssm.get_parameter_history(Name="/t/a")["Parameters"]], [1, 2])
        ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId="/t/a", Tags=[{"Key": "n", "Value": "w"}])
        self.assertEqual(len(ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/t/a")["TagList"]), 2)
        self.assertEqual(ssm.delete_parameters(Names=["/t/a", "/t/x"])["DeletedParameters"], ["/t/a"])

    def test_job_gets_its_secrets_and_nothing_else_has_them(self):
        secrets, ssm = self.client("secretsmanager"), self.client("ssm")
        document = json.dumps({"password": PLAIN, "port": 5432})
        arn = secrets.create_secret(Name="db", SecretString=document)["ARN"]
        first = secrets.get_secret_value(SecretId="db")["VersionId"]
        ssm.put_parameter(Name="/db/user", Type="SecureString", Value=PARAMETER)
        # Only what cannot be turned back leaves the job.
        show = ("import hashlib,os\nfor n in 'WHOLE KEY PORT OLD PARAM PARAM_ARN'.split():\n"
                " print(n, hashlib.sha256(os.environ[n].encode()).hexdigest())")
        job, definition = self.job("with-secrets", [
            {"name": "WHOLE", "valueFrom": arn}, {"name": "KEY", "valueFrom": arn + ":password::"},
            {"name": "PORT", "valueFrom": arn + ":port:AWSCURRENT:"},
            {"name": "OLD", "valueFrom": arn + ":password::" + first},
            {"name": "PARAM", "valueFrom": "/db/user"},
            {"name": "PARAM_ARN", "valueFrom": "arn:aws:ssm:us-east-1:123456789012:parameter/db/user"}],
            ["/usr/bin/python3", "-c", show])
        self.assertEqual(job["status"], "SUCCEEDED", job)
        import hashlib
        want = dict(WHOLE=document, KEY=PLAIN, PORT="5432", OLD=PLAIN, PARAM=PARAMETER, PARAM_ARN=PARAMETER)
        self.assertEqual(dict(line.split() for line in self.lines(job)),
                         {name: hashlib.sha256(text.encode()).hexdigest() for name, text in want.items()})
        for shown in (job, definition):
            self.assertNotIn(PLAIN, str(shown))
            self.assertNotIn(PARAMETER, str(shown))
        self.assertNotIn("KEY", [v["name"] for v in job["container"]["environment"]])
        self.assertEqual(job["container"]["secrets"][1], {"name": "KEY", "valueFrom": arn + ":password::"})
        self.assert_nowhere(PLAIN, PARAMETER)

    def test_what_cannot_be_resolved_fails_the_attempt(self):
        secrets = self.client("secretsmanager")
        arn = secrets.create_secret(Name="refused", SecretString='{"there": "%s"}' % PLAIN)["ARN"]
        binary = secrets.create_secret(Name="binary", SecretBinary=b"x")["ARN"]
        deleted = secrets.create_secret(Name="deleted", SecretString="x")["ARN"]
        secrets.delete_secret(SecretId=deleted)
        for number, (value_from, why) in enumerate([
                (arn[:-6] + "AAAAAA", "ResourceNotFoundException: Secrets Manager can't find the specified secret."),
                (arn + ":gone::", "did not contain json key gone"),
                (arn + "::none:", "staging label: none"),
                (binary, "has no SecretString"),
                (deleted, "marked for deletion"),
                ("/no/parameter", "unable to retrieve secrets from ssm: service call has been retried 1 time(s): "
                                  "invalid parameters: /no/parameter")]):
            with self.subTest(value_from=value_from):
                job, _ = self.job(f"refused-{number}", [{"name": "X", "valueFrom": value_from}], ["true"],
                                  retryStrategy={"attempts": 2})
                self.assertEqual(job["status"], "FAILED")
                self.assertIn(why, job["statusReason"])
                start = "ResourceInitializationError: unable to pull secrets or registry auth: "
                self.assertTrue(job["statusReason"].startswith(start), job["statusReason"])
                self.assertTrue(job["container"]["reason"].startswith(start))
                self.assertLessEqual(len(job["container"]["reason"]), 255)
                self.assertEqual(len(job["attempts"]), 2)
                self.assertNotIn("exitCode", job["container"])
                self.assertNotIn(PLAIN, str(job))

    def test_errors_do_not_repeat_values(self):
        with self.assertRaises(ClientError) as refused:
            self.client("ssm").put_parameter(Name="/e", Type="String", Value=PLAIN, AllowedPattern="[0-9]+")
        self.assertNotIn(PLAIN, str(refused.exception))
        # Too long for the model: the message names the member, not what was in it.
        done = self.server.aws("secretsmanager", "create-secret", "--name", "long", "--secret-string",
                               PLAIN + "x" * 66_000, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn(PLAIN, done.stderr)


class Durability(unittest.TestCase):
    def test_kill_after_each_acknowledged_put(self):
        with MillraceServer() as server:
            client = server.boto3("secretsmanager")
            client.create_secret(Name="s", SecretString="0")
            for n in range(1, 6):
                server.boto3("secretsmanager").put_secret_value(SecretId="s", SecretString=str(n))
                server.boto3("ssm").put_parameter(Name="p", Type="String", Value=str(n), Overwrite=True)
                server.kill()
                server.start()
                client = server.boto3("secretsmanager")
                self.assertEqual(client.get_secret_value(SecretId="s")["SecretString"], str(n))
                self.assertEqual(server.boto3("ssm").get_parameter(Name="p")["Parameter"]["Value"], str(n))

    def test_another_key_is_refused(self):
        with MillraceServer() as server:
            server.boto3("secretsmanager").create_secret(Name="s", SecretString="kept")
            server.stop()
            path = os.path.join(server.data, "secrets", "key")
            with open(path, encoding="ascii") as file:
                key = file.read().strip()
            with open(path, "w", encoding="ascii") as file:
                file.write(base64.b64encode(os.urandom(32)).decode())
            self.assertIn("encrypted with another key", self.refused(server))
            os.unlink(path)
            self.assertIn("is gone", self.refused(server))
            server.own_environment = {"MILLRACE_KEY": key}
            server.start()
            self.assertEqual(server.boto3("secretsmanager").get_secret_value(SecretId="s")["SecretString"], "kept")
            for pid in (server.process.pid, server.runner_pid()):
                with open(f"/proc/{pid}/environ", "rb") as file:
                    self.assertNotIn(key.encode(), file.read())
                with open(f"/proc/{pid}/limits", encoding="ascii") as file:
                    self.assertRegex(file.read(), r"Max core file size +[01] ")

    def refused(self, server):
        done = subprocess.run([server.binary, "serve", "--data", server.data, "--listen", "127.0.0.1:0"],
                              capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stderr


if __name__ == "__main__":
    unittest.main()
