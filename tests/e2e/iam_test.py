"""Users, roles and policies with real clients: what is denied is denied as on AWS, and says why."""

import json
import os
import subprocess
import sys
import unittest

import botocore.exceptions

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from batch_setup import make_definition, make_queue, wait_for_job  # noqa: E402
from millrace_server import MillraceServer, wait_until  # noqa: E402

ACCOUNT = "123456789012"


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, resources, **more):
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


TASKS = policy({"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"})


class Iam(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MillraceServer())
        cls.iam = cls.server.boto3("iam")
        cls.s3 = cls.server.boto3("s3")
        cls.batch = cls.server.boto3("batch")
        cls.queue = make_queue(cls.batch)
        cls.s3.create_bucket(Bucket="sample")
        for number in range(3):
            cls.s3.put_object(Bucket="sample", Key=f"input/{number}", Body=b"x")

    def denied(self, call, *parts, code="AccessDenied"):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call()
        error = caught.exception.response["Error"]
        self.assertIn(code, error["Code"], error)
        for part in parts:
            self.assertIn(part, error["Message"])
        return error

    def make_user(self, name, *statements):
        self.iam.create_user(UserName=name)
        if statements:
            self.iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=policy(*statements))
        return self.iam.create_access_key(UserName=name)["AccessKey"]

    def client(self, service, key, **more):
        return self.server.boto3(service, aws_access_key_id=key["AccessKeyId"],
                                 aws_secret_access_key=key["SecretAccessKey"], **more)

    def make_role(self, name, *statements, trust=TASKS):
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
        if statements:
            self.iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy(*statements))
        return role["Arn"]

    def run_job(self, command, role, name):
        definition = self.batch.register_job_definition(
            jobDefinitionName=name, type="container",
            containerProperties={"image": "millrace", "command": command, "jobRoleArn": role,
                                 "resourceRequirements": [{"type": "VCPU", "value": "1"},
                                                          {"type": "MEMORY", "value": "64"}]})["jobDefinitionArn"]
        job = self.batch.submit_job(jobName=name, jobQueue=self.queue, jobDefinition=definition)["jobId"]
        job = wait_for_job(self.batch, job)
        logs = self.server.boto3("logs")
        events = logs.get_log_events(logGroupName="/aws/batch/job", startFromHead=True,
                                     logStreamName=job["container"]["logStreamName"])["events"]
        return job, "\n".join(event["message"] for event in events)

    def test_a_user_may_do_what_its_policies_say(self):
        key = self.make_user("reader", allow(["s3:GetObject"], "arn:aws:s3:::sample/input/*"),
                             allow("s3:ListBucket", "arn:aws:s3:::sample",
                                   Condition={"StringLike": {"s3:prefix": "input/*"}}))
        s3 = self.client("s3", key)
        self.assertEqual(s3.get_object(Bucket="sample", Key="input/0")["Body"].read(), b"x")
        self.assertEqual(s3.list_objects_v2(Bucket="sample", Prefix="input/")["KeyCount"], 3)
        self.denied(lambda: s3.list_objects_v2(Bucket="sample"), "s3:ListBucket", "arn:aws:s3:::sample")
        error = self.denied(lambda: s3.put_object(Bucket="sample", Key="input/9", Body=b""))
        self.assertEqual(error["Message"],
                         f"User: arn:aws:iam::{ACCOUNT}:user/reader is not authorized to perform: s3:PutObject on "
                         'resource: "arn:aws:s3:::sample/input/9" because no identity-based policy allows the '
                         "s3:PutObject action")
        self.denied(lambda: self.client("batch", key).describe_job_queues(jobQueues=[self.queue]),
                    "batch:DescribeJobQueues", code="AccessDeniedException")
        self.denied(lambda: self.client("logs", key).describe_log_groups(), code="AccessDeniedException")
        self.denied(lambda: self.client("events", key).list_rules(), code="AccessDeniedException")
        self.denied(lambda: self.client("iam", key).list_users(), "iam:ListUsers")
        who = self.client("sts", key).get_caller_identity()
        self.assertEqual(who["Arn"], f"arn:aws:iam::{ACCOUNT}:user/reader")
        deletion = s3.delete_objects(Bucket="sample", Delete={"Objects": [{"Key": "input/0"}]})
        self.assertEqual([e["Code"] for e in deletion["Errors"]], ["AccessDenied"])
        self.assertEqual(self.s3.list_objects_v2(Bucket="sample")["KeyCount"], 3)

    def test_a_key_ends_when_it_is_told_to(self):
        key = self.make_user("leaver", allow("s3:*", "*"))
        s3 = self.client("s3", key)
        s3.list_buckets()
        self.iam.update_access_key(UserName="leaver", AccessKeyId=key["AccessKeyId"], Status="Inactive")
        self.denied(s3.list_buckets, code="InvalidAccessKeyId")
        self.iam.update_access_key(UserName="leaver", AccessKeyId=key["AccessKeyId"], Status="Active")
        s3.list_buckets()
        with self.assertRaises(self.iam.exceptions.DeleteConflictException):
            self.iam.delete_user(UserName="leaver")
        self.iam.delete_access_key(UserName="leaver", AccessKeyId=key["AccessKeyId"])
        self.denied(s3.list_buckets, code="InvalidAccessKeyId")

    def test_users_and_roles_outlive_a_restart(self):
        key = self.make_user("stayer", allow("s3:ListAllMyBuckets", "*"))
        self.server.kill()
        self.server.start()
        type(self).iam, type(self).s3 = self.server.boto3("iam"), self.server.boto3("s3")
        type(self).batch = self.server.boto3("batch")
        self.client("s3", key).list_buckets()
        self.denied(lambda: self.client("s3", key).list_objects_v2(Bucket="sample"))

    # The copy sample's job role has neither s3:DeleteObject nor s3:PutObjectAcl, which its job needs.
    def test_the_copy_samples_role(self):
        actions = ["s3:PutObject", "s3:GetObject", "s3:ListBucketMultipartUploads", "s3:ListBucket",
                   "s3:ListMultipartUploadParts"]
        role = self.make_role("copy-sample", allow(actions, ["arn:aws:s3:::sample", "arn:aws:s3:::sample/*"]))
        aws = self.server.aws_command("s3")
        job, log = self.run_job([*aws, "cp", "s3://sample/input/0", "s3://sample/output/0"], role, "plain")
        self.assertEqual(job["status"], "SUCCEEDED", log)
        job, log = self.run_job([*aws, "cp", "s3://sample/input/0", "s3://sample/output/1", "--acl",
                                 "bucket-owner-full-control"], role, "with-acl")
        self.assertEqual(job["status"], "FAILED")
        self.assertIn("s3:PutObjectAcl", log)
        self.assertIn("assumed-role/copy-sample/", log)
        job, log = self.run_job([*aws, "rm", "s3://sample/output/0"], role, "delete")
        self.assertEqual(job["status"], "FAILED")
        self.assertIn("no identity-based policy allows the s3:DeleteObject action", log)
        self.assertEqual(self.s3.head_object(Bucket="sample", Key="output/0")["ContentLength"], 1)

    # The ingest sample's chunk role may submit to the chunk definition only, not to the processor's.
    def test_the_ingest_samples_chunk_role(self):
        chunk = make_definition(self.batch, ["true"], "chunk")
        make_definition(self.batch, ["true"], "processor")
        role = self.make_role("chunk-role", allow("batch:SubmitJob", [self.queue, chunk]))
        aws = self.server.aws_command("batch", "submit-job", "--job-name", "x", "--job-queue", self.queue)
        job, log = self.run_job([*aws, "--job-definition", chunk], role, "submits-chunk")
        self.assertEqual(job["status"], "SUCCEEDED", log)
        job, log = self.run_job([*aws, "--job-definition", "processor"], role, "submits-processor")
        self.assertEqual(job["status"], "FAILED")
        self.assertIn("batch:SubmitJob on resource: arn:aws:batch:us-east-1:123456789012:job-definition/processor", log)

    # The load sample's roles: a task role with AWS's own broad policies, an execution role without a secret's.
    def test_the_load_samples_roles(self):
        secret = self.server.boto3("secretsmanager").create_secret(
            Name="RDS-credentials", SecretString='{"username": "ann", "password": "correct horse"}')["ARN"]
        role = self.make_role("load-task")
        for name in ("AmazonS3FullAccess", "SecretsManagerReadWrite", "AmazonRDSFullAccess", "AmazonRedshiftDataFullAccess"):
            self.iam.attach_role_policy(RoleName="load-task", PolicyArn=f"arn:aws:iam::aws:policy/{name}")
        script = ("import boto3, os\n"
                  "url = os.environ['AWS_ENDPOINT_URL']\n"
                  "value = boto3.client('secretsmanager', endpoint_url=url).get_secret_value(SecretId='RDS-credentials')\n"
                  "print(len(value['SecretString']) > 40)\n"
                  "print(boto3.client('s3', endpoint_url=url).list_objects_v2(Bucket='sample', Prefix='input/')['KeyCount'])\n"
                  "try: boto3.client('batch', endpoint_url=url).describe_job_queues()\n"
                  "except Exception as error: print(error)\n")
        job, log = self.run_job(["/usr/bin/python3", "-c", script], role, "load-task")
        self.assertEqual(job["status"], "SUCCEEDED", log)
        self.assertEqual(log.splitlines()[:2], ["True", "3"])
        self.assertIn("not authorized to perform: batch:DescribeJobQueues", log)

        execution = self.make_role("load-execution", allow(["kms:*", "ecs:*", "ecr:*", "logs:*"], "*"))

        def run(name):
            definition = self.batch.register_job_definition(
                jobDefinitionName=name, type="container",
                containerProperties={"image": "millrace", "command": ["sh", "-c", 'test "$PASSWORD" = "correct horse"'],
                                     "executionRoleArn": execution,
                                     "secrets": [{"name": "PASSWORD", "valueFrom": f"{secret}:password::"}],
                                     "resourceRequirements": [{"type": "VCPU", "value": "1"},
                                                              {"type": "MEMORY", "value": "64"}]})["jobDefinitionArn"]
            return wait_for_job(self.batch, self.batch.submit_job(
                jobName=name, jobQueue=self.queue, jobDefinition=definition)["jobId"])
        job = run("without-right")
        self.assertEqual(job["status"], "FAILED")
        reason = job["attempts"][0]["container"]["reason"]
        self.assertIn("ResourceInitializationError", reason)
        self.assertIn("AccessDeniedException", reason)
        self.iam.put_role_policy(RoleName="load-execution", PolicyName="secret",
                                 PolicyDocument=policy(allow("secretsmanager:GetSecretValue", secret)))
        self.assertEqual(run("with-right")["status"], "SUCCEEDED")

    # What is not there is not told to those who may not list.
    def test_a_missing_object_is_denied_to_those_who_may_not_list(self):
        key = self.make_user("guesser", allow("s3:GetObject", "arn:aws:s3:::sample/*"))
        s3 = self.client("s3", key)
        self.denied(lambda: s3.get_object(Bucket="sample", Key="none"), code="AccessDenied")
        self.denied(lambda: s3.head_object(Bucket="sample", Key="none"), code="403")
        self.iam.put_user_policy(UserName="guesser", PolicyName="lists",
                                 PolicyDocument=policy(allow("s3:ListBucket", "arn:aws:s3:::sample")))
        self.denied(lambda: s3.get_object(Bucket="sample", Key="none"), code="NoSuchKey")

    # Another name for the same thing is still the same thing.
    def test_denials_have_no_ways_round(self):
        ours = f"us-east-1:{ACCOUNT}"
        self.make_role("Guarded")
        self.make_role("guarded-too", trust=policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}))
        ssm, secrets = self.server.boto3("ssm"), self.server.boto3("secretsmanager")
        ssm.put_parameter(Name="/guarded/p", Value="v", Type="String")
        secret = secrets.create_secret(Name="guarded", SecretString="s")["ARN"]
        self.server.boto3("logs").create_log_group(logGroupName="/guarded")
        definition = make_definition(self.batch, ["true"], "guarded")
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        forbidden = [f"arn:aws:iam::{ACCOUNT}:role/Guarded", f"arn:aws:iam::{ACCOUNT}:user/sneak",
                     f"arn:aws:ssm:{ours}:parameter/guarded/*", secret, f"arn:aws:logs:{ours}:log-group:/guarded:*",
                     f"arn:aws:batch:{ours}:job-definition/guarded:*", f"arn:aws:events:{ours}:event-bus/default"]
        key = self.make_user("sneak", everything, {"Sid": "Guarded", "Effect": "Deny", "Action": "*", "Resource": forbidden})
        client = lambda service: self.client(service, key)  # noqa: E731
        submit = lambda definition: client("batch").submit_job(  # noqa: E731
            jobName="x", jobQueue=self.queue, jobDefinition=definition)
        foreign = definition.replace("us-east-1", "eu-west-1")
        ways = [
            lambda: client("iam").update_assume_role_policy(RoleName="GUARDED", PolicyDocument=TASKS),
            lambda: client("iam").create_access_key(),
            lambda: client("iam").create_access_key(UserName="SNEAK"),
            lambda: client("ssm").get_parameter(Name="/guarded/p:1"),
            lambda: client("ssm").get_parameters(Names=["/guarded/p"]),
            lambda: client("ssm").get_parameter(Name="/aws/reference/secretsmanager/guarded", WithDecryption=True),
            lambda: client("secretsmanager").get_secret_value(SecretId=secret[:-7]),
            lambda: client("logs").get_log_events(logGroupName="/guarded", logStreamName="x"),
            lambda: client("logs").delete_log_group(logGroupName="/guarded"),
            lambda: submit("guarded"), lambda: submit(definition), lambda: submit(definition.rsplit(":", 1)[0]),
            lambda: submit(foreign),
            lambda: client("batch").tag_resource(resourceArn=foreign, tags={"a": "b"}),
            lambda: client("events").put_events(Entries=[{"Source": "s", "DetailType": "d", "Detail": "{}",
                                                          "EventBusName": f"arn:aws:events:eu-west-1:{ACCOUNT}:event-bus/default"}]),
            lambda: client("batch").register_job_definition(
                jobDefinitionName="mine", type="container",
                containerProperties={"image": "millrace", "jobRoleArn": f"arn:aws:iam::{ACCOUNT}:role/Guarded",
                                     "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]}),
        ]
        for number, way in enumerate(ways):
            with self.subTest(number):
                self.denied(way, "Guarded")
        with self.assertRaises(self.iam.exceptions.InvalidInputException):
            self.iam.delete_service_linked_role(RoleName="Guarded")

    # A job has the role that was meant, with its trust, or none at all.
    def test_a_job_gets_no_role_but_the_one_named(self):
        self.make_user("somebody")  # with users there, an unknown role is a mistake
        self.make_role("admin", allow("*", "*"))
        self.make_role("for-people", allow("*", "*"), trust=policy(
            {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}))
        for role in (f"arn:aws:iam::{ACCOUNT}:role/batch/admin", f"arn:aws:iam::{ACCOUNT}:role/ADMIN",
                     "arn:aws:iam::999999999999:role/admin", f"arn:aws:iam::{ACCOUNT}:role/nobody",
                     f"arn:aws:iam::{ACCOUNT}:role/for-people"):
            with self.subTest(role):
                definition = self.batch.register_job_definition(
                    jobDefinitionName="misled", type="container",
                    containerProperties={"image": "millrace", "command": ["true"], "jobRoleArn": role,
                                         "resourceRequirements": [{"type": "VCPU", "value": "1"},
                                                                  {"type": "MEMORY", "value": "64"}]})["jobDefinitionArn"]
                job = wait_for_job(self.batch, self.batch.submit_job(
                    jobName="misled", jobQueue=self.queue, jobDefinition=definition)["jobId"])
                self.assertEqual(job["status"], "FAILED")
                self.assertIn("unable to assume the role", job["attempts"][0]["container"]["reason"])

    # Rights belong to who had the name when they were given, not to the name.
    def test_a_session_ends_with_its_role(self):
        trust = policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
        role = self.make_role("reborn", allow("s3:*", "*"), trust=trust)
        keys = self.server.boto3("sts").assume_role(RoleArn=role, RoleSessionName="old")["Credentials"]
        s3 = self.client("s3", keys, aws_session_token=keys["SessionToken"])
        s3.list_buckets()
        self.iam.delete_role_policy(RoleName="reborn", PolicyName="inline")
        self.iam.delete_role(RoleName="reborn")
        self.denied(s3.list_buckets)
        self.make_role("reborn", allow("s3:*", "*"), trust=trust)
        self.denied(s3.list_buckets)
        named = self.make_user("named-in-trust")
        direct = self.make_role("direct", allow("s3:*", "*"), trust=policy(
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/named-in-trust"}, "Action": "sts:AssumeRole"}))
        self.client("sts", named).assume_role(RoleArn=direct, RoleSessionName="direct")

    # The keys of a job are fetched from where every SDK looks, name its role, and end with it.
    def test_a_jobs_credentials(self):
        role = self.make_role("worker", allow("s3:ListAllMyBuckets", "*"))
        script = ("import json, os, urllib.request\n"
                  "assert 'AWS_ACCESS_KEY_ID' not in os.environ\n"
                  "uri, token = os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI'], os.environ['AWS_CONTAINER_AUTHORIZATION_TOKEN']\n"
                  "ask = lambda: urllib.request.urlopen(urllib.request.Request(uri, headers={'Authorization': token}))\n"
                  "print(json.dumps(json.load(ask())))\n"
                  "print(json.dumps({'uri': uri, 'token': token}))\n"
                  "print(json.dumps(json.load(urllib.request.urlopen(os.environ['ECS_CONTAINER_METADATA_URI_V4'] + '/task'))))\n")
        job, log = self.run_job(["/usr/bin/python3", "-c", script], role, "credentials")
        self.assertEqual(job["status"], "SUCCEEDED", log)
        keys, where, task = [json.loads(line) for line in log.splitlines()]
        self.assertEqual(keys["RoleArn"], role)
        self.assertTrue(keys["AccessKeyId"].startswith("ASIA"))
        self.assertEqual(task["Containers"][0]["Limits"]["Memory"], 64)
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            self.server.boto3("s3", aws_access_key_id=keys["AccessKeyId"],
                              aws_secret_access_key=keys["SecretAccessKey"],
                              aws_session_token=keys["Token"]).list_buckets()
        self.assertEqual(caught.exception.response["Error"]["Code"], "ExpiredToken", "the job has ended")
        done = subprocess.run(["curl", "-s", "-H", f"Authorization: {where['token']}", where["uri"]],
                              capture_output=True, text=True)
        self.assertIn("has ended", done.stdout)
        done = subprocess.run(["curl", "-s", where["uri"]], capture_output=True, text=True)
        self.assertIn("AccessDenied", done.stdout)

    def test_roles_are_assumed_as_their_trust_policy_says(self):
        key = self.make_user("assumer", allow("sts:AssumeRole", "*"))
        stranger = self.make_user("stranger")
        trust = policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                        "Action": "sts:AssumeRole",
                        "Condition": {"StringEquals": {"sts:ExternalId": "42"}}})
        role = self.make_role("assumed", allow("s3:*", "*"), trust=trust)
        sts = self.client("sts", key)
        self.denied(lambda: sts.assume_role(RoleArn=role, RoleSessionName="session"), "trust policy")
        self.denied(lambda: self.client("sts", stranger).assume_role(RoleArn=role, RoleSessionName="session",
                                                                     ExternalId="42"), "sts:AssumeRole")
        session = sts.assume_role(RoleArn=role, RoleSessionName="session", ExternalId="42",
                                  Policy=policy(allow("s3:Get*", "arn:aws:s3:::sample/*")))
        self.assertEqual(session["AssumedRoleUser"]["Arn"], f"arn:aws:sts::{ACCOUNT}:assumed-role/assumed/session")
        keys = session["Credentials"]
        s3 = self.client("s3", keys, aws_session_token=keys["SessionToken"])
        s3.get_object(Bucket="sample", Key="input/0")
        self.denied(lambda: s3.put_object(Bucket="sample", Key="y", Body=b""), "no session policy allows")
        forged = self.client("s3", keys, aws_session_token=keys["SessionToken"][:-1] + "0")
        if keys["SessionToken"][-1] != "0":
            self.denied(lambda: forged.get_object(Bucket="sample", Key="input/0"), code="InvalidToken")
        token = self.client("sts", key).get_session_token(DurationSeconds=900)["Credentials"]
        self.denied(lambda: self.client("s3", token, aws_session_token=token["SessionToken"]).list_buckets(),
                    "user/assumer")

    def test_bucket_policies(self):
        self.s3.create_bucket(Bucket="shared")
        self.s3.put_object(Bucket="shared", Key="public/a", Body=b"for all")
        self.s3.put_object(Bucket="shared", Key="secret", Body=b"for none")
        key = self.make_user("guest")
        s3 = self.client("s3", key)
        self.denied(lambda: s3.get_object(Bucket="shared", Key="secret"))
        self.s3.put_bucket_policy(Bucket="shared", Policy=policy(
            {"Sid": "Guest", **allow("s3:GetObject", "arn:aws:s3:::shared/*"),
             "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/guest"}},
            {"Sid": "Public", **allow("s3:GetObject", "arn:aws:s3:::shared/public/*"), "Principal": "*"},
            {"Sid": "NoSecrets", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
             "Resource": "arn:aws:s3:::shared/secret"}))
        self.assertEqual(s3.get_object(Bucket="shared", Key="public/a")["Body"].read(), b"for all")
        self.denied(lambda: s3.get_object(Bucket="shared", Key="secret"),
                    "with an explicit deny in a resource-based policy", "NoSecrets")
        url = f"{self.server.endpoint}/shared/"
        get = lambda path: subprocess.run(["curl", "-s", url + path], capture_output=True, text=True).stdout  # noqa: E731
        self.assertEqual(get("public/a"), "for all")
        self.assertIn("<Code>AccessDenied</Code>", get("secret"))
        self.assertIn("<Code>AccessDenied</Code>", get(""))
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            self.s3.put_bucket_policy(Bucket="shared", Policy=policy({"Effect": "Allow", "Action": "s3:*"}))
        self.assertEqual(caught.exception.response["Error"]["Code"], "MalformedPolicy")
        self.assertEqual(self.s3.get_object(Bucket="shared", Key="secret")["Body"].read(), b"for none", "root")

    def test_explain_names_the_statement(self):
        key = self.make_user("asker", {"Sid": "Reads", **allow("s3:Get*", "arn:aws:s3:::sample/*")},
                             {"Sid": "NotAtNight", "Effect": "Deny", "Action": "s3:*", "Resource": "*",
                              "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}})
        self.iam.attach_user_policy(UserName="asker", PolicyArn="arn:aws:iam::aws:policy/AWSGlueConsoleFullAccess")

        def explain(*words):
            return subprocess.run([self.server.binary, "iam", "explain", *words, "--data", self.server.data],
                                  capture_output=True, text=True)
        done = explain(key["AccessKeyId"], "s3:GetObject", "arn:aws:s3:::sample/x")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Reads", done.stdout)
        done = explain("asker", "s3:GetObject", "arn:aws:s3:::sample/x", "--context", "aws:SourceIp=10.1.1.1")
        self.assertEqual(done.returncode, 3)
        self.assertIn("explicit deny", done.stdout)
        self.assertIn("NotAtNight", done.stdout)
        done = explain("asker", "s3:PutObject", "arn:aws:s3:::sample/x", "--json")
        answer = json.loads(done.stdout)
        self.assertEqual(answer["Decision"], "implicitDeny")
        self.assertIn("its actions do not name s3:PutObject", [c["Mismatch"] for c in answer["Considered"]])
        self.assertIn("AWSGlueConsoleFullAccess is not known", " ".join(answer["Notes"]))
        done = explain("nobody", "s3:PutObject", "*")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nobody", done.stderr)

    # The calls that Terraform, CDK and the originals' set-ups make, with the AWS CLI.
    def test_the_life_of_a_role_with_the_aws_cli(self):
        aws = lambda *words: json.loads(self.server.aws("iam", *words).stdout or "{}")  # noqa: E731
        role = aws("create-role", "--role-name", "ecsInstanceRole", "--assume-role-policy-document", TASKS,
                   "--tags", "Key=team,Value=data", "--description", "for instances")["Role"]
        self.assertEqual(role["AssumeRolePolicyDocument"]["Statement"][0]["Action"], "sts:AssumeRole")
        self.assertTrue(role["RoleId"].startswith("AROA"))
        container = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
        aws("attach-role-policy", "--role-name", "ecsInstanceRole", "--policy-arn", container)
        self.assertEqual(aws("list-attached-role-policies", "--role-name", "ecsInstanceRole")["AttachedPolicies"],
                         [{"PolicyName": "AmazonEC2ContainerServiceforEC2Role", "PolicyArn": container}])
        self.assertEqual(aws("list-role-policies", "--role-name", "ecsInstanceRole")["PolicyNames"], [])
        made = aws("create-policy", "--policy-name", "mine", "--policy-document", policy(allow("s3:*", "*")))["Policy"]
        aws("attach-role-policy", "--role-name", "ecsInstanceRole", "--policy-arn", made["Arn"])
        version = aws("create-policy-version", "--policy-arn", made["Arn"], "--set-as-default",
                      "--policy-document", policy(allow("s3:Get*", "*")))["PolicyVersion"]
        self.assertEqual(version["VersionId"], "v2")
        self.assertEqual(aws("get-policy-version", "--policy-arn", made["Arn"], "--version-id", "v2")
                         ["PolicyVersion"]["Document"]["Statement"][0]["Action"], "s3:Get*")
        aws("create-instance-profile", "--instance-profile-name", "ecsInstanceRole")
        aws("add-role-to-instance-profile", "--instance-profile-name", "ecsInstanceRole", "--role-name", "ecsInstanceRole")
        profile = aws("get-instance-profile", "--instance-profile-name", "ecsInstanceRole")["InstanceProfile"]
        self.assertEqual([r["RoleName"] for r in profile["Roles"]], ["ecsInstanceRole"])
        linked = aws("create-service-linked-role", "--aws-service-name", "batch.amazonaws.com")["Role"]
        self.assertEqual(linked["Arn"], f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch")
        conflict = self.server.aws("iam", "delete-role", "--role-name", "ecsInstanceRole", check=False)
        self.assertIn("DeleteConflict", conflict.stderr)
        aws("remove-role-from-instance-profile", "--instance-profile-name", "ecsInstanceRole", "--role-name", "ecsInstanceRole")
        aws("delete-instance-profile", "--instance-profile-name", "ecsInstanceRole")
        for arn in (container, made["Arn"]):
            aws("detach-role-policy", "--role-name", "ecsInstanceRole", "--policy-arn", arn)
        aws("delete-role", "--role-name", "ecsInstanceRole")
        aws("delete-policy-version", "--policy-arn", made["Arn"], "--version-id", "v1")
        aws("delete-policy", "--policy-arn", made["Arn"])
        gone = self.server.aws("iam", "get-role", "--role-name", "ecsInstanceRole", check=False)
        self.assertIn("NoSuchEntity", gone.stderr)
        self.assertIn("The role with name ecsInstanceRole cannot be found.", gone.stderr)
        bad = self.server.aws("iam", "create-role", "--role-name", "x", "--assume-role-policy-document", "{}", check=False)
        self.assertIn("MalformedPolicyDocument", bad.stderr)
        users = [f"u{number:03}" for number in range(7)]
        for name in users:
            self.iam.create_user(UserName=name, Path="/paged/")
        pages = list(self.iam.get_paginator("list_users").paginate(PathPrefix="/paged/", PaginationConfig={"PageSize": 3}))
        self.assertEqual([u["UserName"] for page in pages for u in page["Users"]], users)
        self.assertEqual(len(pages), 3)

    def test_simulation(self):
        role = self.make_role("simulated", allow("s3:Get*", "arn:aws:s3:::sample/*"))
        results = self.iam.simulate_principal_policy(
            PolicySourceArn=role, ActionNames=["s3:GetObject", "s3:PutObject"],
            ResourceArns=["arn:aws:s3:::sample/a"])["EvaluationResults"]
        self.assertEqual([r["EvalDecision"] for r in results], ["allowed", "implicitDeny"])


if __name__ == "__main__":
    unittest.main()
