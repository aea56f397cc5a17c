// Without this: the newest AWS SDK for JavaScript, whose defaults (checksums, streamed bodies) run ahead of
// the other clients, stops working unseen. Run by ../js_test.py, which starts the server.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";
import * as batchClient from "@aws-sdk/client-batch";
import * as logsClient from "@aws-sdk/client-cloudwatch-logs";
import * as s3Client from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { until } from "./until.mjs";

// Endpoint, region and keys come from the environment alone, as for a user of `millrace env`.
const batch = new batchClient.BatchClient({});
const logs = new logsClient.CloudWatchLogsClient({});
const s3 = new s3Client.S3Client({ forcePathStyle: true });
after(() => [batch, logs, s3].forEach((client) => client.destroy()));

const describe = async (id) =>
  (await batch.send(new batchClient.DescribeJobsCommand({ jobs: [id] }))).jobs[0];
const ended = (id) =>
  until(`${id} ended`, async () => {
    const job = await describe(id);
    return ["SUCCEEDED", "FAILED"].includes(job.status) && job;
  });

test("Batch: a whole life", async () => {
  const environment = await batch.send(new batchClient.CreateComputeEnvironmentCommand({
    computeEnvironmentName: "js", type: "MANAGED",
    computeResources: { type: "EC2", minvCpus: 0, maxvCpus: 16, instanceTypes: ["optimal"], subnets: ["subnet-1"],
      securityGroupIds: ["sg-1"], instanceRole: "ecsInstanceRole" },
    tags: { made: "by js" },
  }));
  await until("environment VALID", async () => (await batch.send(new batchClient.DescribeComputeEnvironmentsCommand(
    { computeEnvironments: ["js"] }))).computeEnvironments[0].status === "VALID");
  const queue = await batch.send(new batchClient.CreateJobQueueCommand({
    jobQueueName: "js", priority: 1,
    computeEnvironmentOrder: [{ order: 1, computeEnvironment: environment.computeEnvironmentArn }],
  }));
  const define = (name, command) => batch.send(new batchClient.RegisterJobDefinitionCommand({
    jobDefinitionName: name, type: "container",
    containerProperties: { image: "millrace", command,
      resourceRequirements: [{ type: "VCPU", value: "1" }, { type: "MEMORY", value: "64" }] },
  }));
  const short = await define("short", ["sh", "-c", 'echo "$0 Grüße"', "Ref::word"]);
  assert.equal(short.revision, 1);
  const { jobId, jobArn } = await batch.send(new batchClient.SubmitJobCommand({
    jobName: "short", jobQueue: queue.jobQueueArn, jobDefinition: "short", parameters: { word: "hello" },
  }));
  const job = await ended(jobId);
  assert.equal(job.status, "SUCCEEDED", job.statusReason);
  assert.equal(job.container.exitCode, 0);
  const { events } = await logs.send(new logsClient.GetLogEventsCommand({
    logGroupName: "/aws/batch/job", logStreamName: job.container.logStreamName, startFromHead: true,
  }));
  assert.deepEqual(events.map((event) => event.message), ["hello Grüße"]);
  const filtered = await logs.send(new logsClient.FilterLogEventsCommand({
    logGroupName: "/aws/batch/job", logStreamNamePrefix: "short/default/", filterPattern: "hello",
  }));
  assert.equal(filtered.events.length, 1);

  await batch.send(new batchClient.TagResourceCommand({ resourceArn: jobArn, tags: { shot: "010", "a b": "+%" } }));
  await batch.send(new batchClient.UntagResourceCommand({ resourceArn: jobArn, tagKeys: ["shot"] }));
  assert.deepEqual((await batch.send(new batchClient.ListTagsForResourceCommand({ resourceArn: jobArn }))).tags,
    { "a b": "+%" });

  const long = await define("long", ["sleep", "600"]);
  const running = await batch.send(new batchClient.SubmitJobCommand({
    jobName: "long", jobQueue: "js", jobDefinition: long.jobDefinitionArn }));
  await until("RUNNING", async () => (await describe(running.jobId)).status === "RUNNING");
  const listed = await batch.send(new batchClient.ListJobsCommand({ jobQueue: "js", jobStatus: "RUNNING" }));
  assert.deepEqual(listed.jobSummaryList.map((summary) => summary.jobId), [running.jobId]);
  await batch.send(new batchClient.TerminateJobCommand({ jobId: running.jobId, reason: "enough" }));
  const terminated = await ended(running.jobId);
  assert.deepEqual([terminated.status, terminated.statusReason], ["FAILED", "enough"]);

  let seen = [];
  for await (const page of batchClient.paginateListJobs({ client: batch, pageSize: 1 },
    { jobQueue: "js", filters: [{ name: "JOB_NAME", values: ["*"] }] }))
    seen = seen.concat(page.jobSummaryList.map((summary) => summary.jobId));
  assert.deepEqual(seen.sort(), [jobId, running.jobId].sort());

  await assert.rejects(batch.send(new batchClient.SubmitJobCommand(
    { jobName: "x", jobQueue: "nowhere", jobDefinition: "short" })), (error) => {
    assert.ok(error instanceof batchClient.ClientException, `${error.name}: ${error.message}`);
    assert.match(error.message, /nowhere/);
    return true;
  });
  await batch.send(new batchClient.DeregisterJobDefinitionCommand({ jobDefinition: "long:1" }));
  await batch.send(new batchClient.UpdateJobQueueCommand({ jobQueue: "js", state: "DISABLED" }));
  await batch.send(new batchClient.DeleteJobQueueCommand({ jobQueue: "js" }));
  await batch.send(new batchClient.UpdateComputeEnvironmentCommand({ computeEnvironment: "js", state: "DISABLED" }));
  await batch.send(new batchClient.DeleteComputeEnvironmentCommand({ computeEnvironment: "js" }));
  await until("environment gone", async () => (await batch.send(new batchClient.DescribeComputeEnvironmentsCommand(
    { computeEnvironments: ["js"] }))).computeEnvironments.length === 0);
});

test("S3: buckets, objects, ranges, parts, presigned URLs", async () => {
  const Bucket = "from-js";
  const key = "a folder/été + 100% ünï?&=#.txt";
  await s3.send(new s3Client.CreateBucketCommand({ Bucket }));
  await s3.send(new s3Client.HeadBucketCommand({ Bucket }));
  const text = async (input) => (await s3.send(new s3Client.GetObjectCommand({ Bucket, ...input }))).Body
    .transformToString();
  await s3.send(new s3Client.PutObjectCommand({ Bucket, Key: key, Body: "0123456789", Metadata: { shot: "010" } }));
  assert.equal(await text({ Key: key }), "0123456789");
  assert.equal(await text({ Key: key, Range: "bytes=3-5" }), "345");
  const head = await s3.send(new s3Client.HeadObjectCommand({ Bucket, Key: key, ChecksumMode: "ENABLED" }));
  assert.equal(head.ContentLength, 10);
  assert.deepEqual(head.Metadata, { shot: "010" });

  // A body of unknown length goes in parts, with checksums in trailers.
  const body = randomBytes(17 << 20);
  const { Readable } = await import("node:stream");
  const chunks = function* () { for (let at = 0; at < body.length; at += 1 << 20) yield body.subarray(at, at + (1 << 20)); };
  await new Upload({ client: s3, params: { Bucket, Key: "large", Body: Readable.from(chunks()) } }).done();
  const large = await s3.send(new s3Client.GetObjectCommand({ Bucket, Key: "large" }));
  assert.ok(body.equals(Buffer.from(await large.Body.transformToByteArray())), "the same bytes come back");
  assert.match(large.ETag, /-4"$/);

  const get = await getSignedUrl(s3, new s3Client.GetObjectCommand({ Bucket, Key: key }), { expiresIn: 60 });
  assert.equal(await (await fetch(get)).text(), "0123456789");
  assert.equal((await fetch(get.replace(/Signature=./, "Signature=g"))).status, 403);
  const put = await getSignedUrl(s3, new s3Client.PutObjectCommand({ Bucket, Key: "put" }), { expiresIn: 60 });
  assert.equal((await fetch(put, { method: "PUT", body: "by URL" })).status, 200);
  assert.equal(await text({ Key: "put" }), "by URL");

  await s3.send(new s3Client.CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/${encodeURIComponent(key)}` }))
    .then(async () => assert.equal(await text({ Key: "copy" }), "0123456789"),
      (error) => assert.equal(error.name, "NotImplemented"));
  const keys = [];
  for await (const page of s3Client.paginateListObjectsV2({ client: s3, pageSize: 1 }, { Bucket }))
    keys.push(...(page.Contents ?? []).map((object) => object.Key));
  assert.ok(keys.includes(key) && keys.includes("large") && keys.includes("put"), keys.join());
  await assert.rejects(s3.send(new s3Client.GetObjectCommand({ Bucket, Key: "none" })), { name: "NoSuchKey" });
  await assert.rejects(s3.send(new s3Client.DeleteBucketCommand({ Bucket })), { name: "BucketNotEmpty" });
  await s3.send(new s3Client.DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }));
  await s3.send(new s3Client.DeleteBucketCommand({ Bucket }));
  await assert.rejects(s3.send(new s3Client.HeadBucketCommand({ Bucket })), { name: "NotFound" });
});
