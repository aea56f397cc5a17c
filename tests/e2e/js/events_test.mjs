// Without this: the newest AWS SDK for JavaScript cannot make rules and schedules, or reads them wrongly. Run by
// ../js_test.py, which starts the server.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import * as batchClient from "@aws-sdk/client-batch";
import * as eventsClient from "@aws-sdk/client-eventbridge";
import * as schedulerClient from "@aws-sdk/client-scheduler";
import * as s3Client from "@aws-sdk/client-s3";
import { until } from "./until.mjs";

const batch = new batchClient.BatchClient({});
const events = new eventsClient.EventBridgeClient({});
const scheduler = new schedulerClient.SchedulerClient({});
const s3 = new s3Client.S3Client({ forcePathStyle: true });
after(() => [batch, events, scheduler, s3].forEach((client) => client.destroy()));

const jobs = async (queue, name) => (await batch.send(new batchClient.ListJobsCommand({
  jobQueue: queue, filters: [{ name: "JOB_NAME", values: [name] }],
}))).jobSummaryList;

const makeQueue = async (name) => {
  await batch.send(new batchClient.CreateComputeEnvironmentCommand({
    computeEnvironmentName: name, type: "MANAGED",
    computeResources: { type: "EC2", minvCpus: 0, maxvCpus: 16, instanceTypes: ["optimal"], subnets: ["subnet-1"],
      securityGroupIds: ["sg-1"], instanceRole: "ecsInstanceRole" },
  }));
  await until("environment VALID", async () => (await batch.send(new batchClient.DescribeComputeEnvironmentsCommand(
    { computeEnvironments: [name] }))).computeEnvironments[0].status === "VALID");
  const { jobQueueArn } = await batch.send(new batchClient.CreateJobQueueCommand({
    jobQueueName: name, priority: 1, computeEnvironmentOrder: [{ order: 1, computeEnvironment: name }],
  }));
  await batch.send(new batchClient.RegisterJobDefinitionCommand({
    jobDefinitionName: name, type: "container", parameters: { key: "-" },
    containerProperties: { image: "millrace", command: ["echo", "Ref::key"],
      resourceRequirements: [{ type: "VCPU", value: "1" }, { type: "MEMORY", value: "64" }] },
  }));
  return jobQueueArn;
};

test("EventBridge: an upload starts a job", async () => {
  const queue = await makeQueue("js-events");
  const { RuleArn } = await events.send(new eventsClient.PutRuleCommand({
    Name: "js-upload", EventPattern: JSON.stringify({ source: ["aws.s3"], "detail-type": ["Object Created"],
      detail: { bucket: { name: ["js-uploads"] }, object: { key: [{ suffix: ".csv" }] } } }),
    Tags: [{ Key: "made", Value: "by js" }],
  }));
  assert.equal(RuleArn, "arn:aws:events:us-east-1:123456789012:rule/js-upload");
  const put = await events.send(new eventsClient.PutTargetsCommand({ Rule: "js-upload", Targets: [{
    Id: "job", Arn: queue, RoleArn: "arn:aws:iam::123456789012:role/events",
    BatchParameters: { JobName: "js-load", JobDefinition: "js-events" },
    InputTransformer: { InputPathsMap: { k: "$.detail.object.key" }, InputTemplate: '{"Parameters": {"key": <k>}}' },
    RetryPolicy: { MaximumRetryAttempts: 3, MaximumEventAgeInSeconds: 3600 },
  }] }));
  assert.equal(put.FailedEntryCount, 0);
  await s3.send(new s3Client.CreateBucketCommand({ Bucket: "js-uploads" }));
  await s3.send(new s3Client.PutObjectCommand({ Bucket: "js-uploads", Key: "other.txt", Body: "x" }));
  await s3.send(new s3Client.PutObjectCommand({ Bucket: "js-uploads", Key: "in/a b.csv", Body: "x" }));
  const [summary] = await until("the job is there", async () => {
    const found = await jobs(queue, "js-load");
    return found.length > 0 && found;
  });
  const { jobs: [job] } = await batch.send(new batchClient.DescribeJobsCommand({ jobs: [summary.jobId] }));
  assert.deepEqual(job.parameters, { key: "in/a b.csv" });
  const { Targets } = await events.send(new eventsClient.ListTargetsByRuleCommand({ Rule: "js-upload" }));
  assert.deepEqual(Targets[0].RetryPolicy, { MaximumRetryAttempts: 3, MaximumEventAgeInSeconds: 3600 });
  const sent = await events.send(new eventsClient.PutEventsCommand({ Entries: [
    { Source: "js", DetailType: "t", Detail: "{}", Time: new Date() }, { Source: "js", DetailType: "t", Detail: "no" },
  ] }));
  assert.deepEqual([sent.FailedEntryCount, sent.Entries[1].ErrorCode], [1, "MalformedDetail"]);
  await assert.rejects(events.send(new eventsClient.DescribeRuleCommand({ Name: "none" })),
    { name: "ResourceNotFoundException", message: "Rule none does not exist on EventBus default." });
});

test("Scheduler: a schedule submits at once, and can be read", async () => {
  const queue = await makeQueue("js-scheduler");
  const { ScheduleArn } = await scheduler.send(new schedulerClient.CreateScheduleCommand({
    Name: "js", ScheduleExpression: "rate(1 day)", FlexibleTimeWindow: { Mode: "OFF" }, ActionAfterCompletion: "NONE",
    EndDate: new Date(Date.now() + 86_400_000 * 30),
    Target: { Arn: "arn:aws:scheduler:::aws-sdk:batch:submitJob", RoleArn: "arn:aws:iam::123456789012:role/s",
      Input: JSON.stringify({ JobName: "js-scheduled", JobQueue: queue, JobDefinition: "js-scheduler" }) },
  }));
  assert.equal(ScheduleArn, "arn:aws:scheduler:us-east-1:123456789012:schedule/default/js");
  await until("the job is there", async () => (await jobs(queue, "js-scheduled")).length === 1);
  const schedule = await scheduler.send(new schedulerClient.GetScheduleCommand({ Name: "js" }));
  assert.ok(schedule.EndDate instanceof Date && schedule.CreationDate instanceof Date);
  assert.equal(schedule.ActionAfterCompletion, "NONE");
  await assert.rejects(scheduler.send(new schedulerClient.GetScheduleCommand({ Name: "none" })),
    { name: "ResourceNotFoundException" });
  await scheduler.send(new schedulerClient.DeleteScheduleCommand({ Name: "js" }));
});
