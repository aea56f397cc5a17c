"""What most tests need before their first job: an environment, a queue, a definition."""

from millrace_server import wait_until


def wait_for_job(batch, job_id, statuses=("SUCCEEDED", "FAILED"), seconds=60):
    last = {}

    def reached():
        last.update(batch.describe_jobs(jobs=[job_id])["jobs"][0])
        return last["status"] in statuses

    try:
        wait_until(reached, f"{job_id} is one of {statuses}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {last['status']}: {last.get('statusReason')}") from None
    return last


def make_queue(batch, name="queue"):
    environment = batch.create_compute_environment(
        computeEnvironmentName=f"{name}-environment", type="MANAGED",
        computeResources={"type": "EC2", "minvCpus": 0, "maxvCpus": 256, "instanceTypes": ["optimal"],
                          "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"],
                          "instanceRole": "ecsInstanceRole"})["computeEnvironmentArn"]
    wait_until(lambda: batch.describe_compute_environments(
        computeEnvironments=[environment])["computeEnvironments"][0]["status"] == "VALID", "environment VALID")
    return batch.create_job_queue(
        jobQueueName=name, state="ENABLED", priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}])["jobQueueArn"]


def make_definition(batch, command, name="definition", **more):
    return batch.register_job_definition(
        jobDefinitionName=name, type="container",
        containerProperties={"image": "millrace", "command": command,
                             "resourceRequirements": [{"type": "VCPU", "value": "1"},
                                                      {"type": "MEMORY", "value": "64"}]},
        **more)["jobDefinitionArn"]
