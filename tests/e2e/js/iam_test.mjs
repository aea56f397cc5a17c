// Without this: the newest SDK cannot make users and roles, assume one, or find its credentials inside a job.
// Run by ../js_test.py, which starts the server.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as batchClient from "@aws-sdk/client-batch";
import * as iamClient from "@aws-sdk/client-iam";
import * as logsClient from "@aws-sdk/client-cloudwatch-logs";
import * as s3Client from "@aws-sdk/client-s3";
import * as stsClient from "@aws-sdk/client-sts";
import { until } from "./until.mjs";

const batch = new batchClient.BatchClient({});
const iam = new iamClient.IAMClient({});
const s3 = new s3Client.S3Client({ forcePathStyle: true });
const logs = new logsClient.CloudWatchLogsClient({});
after(() => [batch, iam, s3, logs].forEach((client) => client.destroy()));

const policy = (...statements) => JSON.stringify({ Version: "2012-10-17", Statement: statements });
const reads = { Effect: "Allow", Action: ["s3:GetObject"], Resource: "arn:aws:s3:::js-iam/*" };

test("IAM and STS: a role is assumed and bound by its policies", async () => {
  await s3.send(new s3Client.CreateBucketCommand({ Bucket: "js-iam" }));
  await s3.send(new s3Client.PutObjectCommand({ Bucket: "js-iam", Key: "a b", Body: "content" }));
  const { Role } = await iam.send(new iamClient.CreateRoleCommand({
    RoleName: "js-reader", Tags: [{ Key: "by", Value: "js" }],
    AssumeRolePolicyDocument: policy(
      { Effect: "Allow", Principal: { AWS: "123456789012" }, Action: "sts:AssumeRole" },
      { Effect: "Allow", Principal: { Service: "ecs-tasks.amazonaws.com" }, Action: "sts:AssumeRole" }),
  }));
  await iam.send(new iamClient.PutRolePolicyCommand({ RoleName: "js-reader", PolicyName: "reads", PolicyDocument: policy(reads) }));
  const { Role: got } = await iam.send(new iamClient.GetRoleCommand({ RoleName: "js-reader" }));
  assert.ok(got.CreateDate instanceof Date);
  assert.deepEqual(JSON.parse(decodeURIComponent(got.AssumeRolePolicyDocument)).Statement.length, 2);
  const sts = new stsClient.STSClient({});
  const { Credentials } = await sts.send(new stsClient.AssumeRoleCommand({ RoleArn: Role.Arn, RoleSessionName: "from-js" }));
  const reader = new s3Client.S3Client({ forcePathStyle: true, credentials: {
    accessKeyId: Credentials.AccessKeyId, secretAccessKey: Credentials.SecretAccessKey, sessionToken: Credentials.SessionToken } });
  const object = await reader.send(new s3Client.GetObjectCommand({ Bucket: "js-iam", Key: "a b" }));
  assert.equal(await object.Body.transformToString(), "content");
  await assert.rejects(reader.send(new s3Client.PutObjectCommand({ Bucket: "js-iam", Key: "c", Body: "x" })),
    (error) => error.name === "AccessDenied" && /assumed-role\/js-reader\/from-js is not authorized to perform: s3:PutObject/.test(error.message));
  await assert.rejects(iam.send(new iamClient.GetUserCommand({ UserName: "nobody" })), { name: "NoSuchEntityException" });
  reader.destroy();
  sts.destroy();
});

test("in a job, the SDK finds the credentials of the job's role by itself", async () => {
  const environment = await batch.send(new batchClient.CreateComputeEnvironmentCommand({
    computeEnvironmentName: "js-iam", type: "MANAGED",
    computeResources: { type: "EC2", minvCpus: 0, maxvCpus: 16, instanceTypes: ["optimal"], subnets: ["subnet-1"],
      securityGroupIds: ["sg-1"], instanceRole: "ecsInstanceRole" } }));
  await until("environment VALID", async () => (await batch.send(new batchClient.DescribeComputeEnvironmentsCommand(
    { computeEnvironments: ["js-iam"] }))).computeEnvironments[0].status === "VALID");
  const queue = await batch.send(new batchClient.CreateJobQueueCommand({ jobQueueName: "js-iam", priority: 1,
    computeEnvironmentOrder: [{ order: 1, computeEnvironment: environment.computeEnvironmentArn }] }));
  const sdk = fileURLToPath(import.meta.resolve("@aws-sdk/client-s3"));
  const script = `const { S3Client, GetObjectCommand, PutObjectCommand } = require(${JSON.stringify(sdk)});
    (async () => {
      const s3 = new S3Client({ forcePathStyle: true });
      const object = await s3.send(new GetObjectCommand({ Bucket: "js-iam", Key: "a b" }));
      console.log(await object.Body.transformToString());
      await s3.send(new PutObjectCommand({ Bucket: "js-iam", Key: "c", Body: "x" })).catch((e) => console.log(e.name));
    })();`;
  const definition = await batch.send(new batchClient.RegisterJobDefinitionCommand({
    jobDefinitionName: "js-iam", type: "container",
    containerProperties: { image: "millrace", command: [process.execPath, "-e", script],
      jobRoleArn: "arn:aws:iam::123456789012:role/js-reader",
      resourceRequirements: [{ type: "VCPU", value: "1" }, { type: "MEMORY", value: "512" }] } }));
  const { jobId } = await batch.send(new batchClient.SubmitJobCommand({ jobName: "js-iam", jobQueue: queue.jobQueueArn,
    jobDefinition: definition.jobDefinitionArn }));
  const job = await until("the job ended", async () => {
    const found = (await batch.send(new batchClient.DescribeJobsCommand({ jobs: [jobId] }))).jobs[0];
    return ["SUCCEEDED", "FAILED"].includes(found.status) && found;
  });
  const { events } = await logs.send(new logsClient.GetLogEventsCommand({ logGroupName: "/aws/batch/job",
    logStreamName: job.container.logStreamName, startFromHead: true }));
  assert.deepEqual(events.slice(-2).map((event) => event.message), ["content", "AccessDenied"]);
});
