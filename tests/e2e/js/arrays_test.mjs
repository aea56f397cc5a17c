// Without this: arrays, dependencies and the operations that only the newest SDK knows (CancelJobs,
// TerminateJobs) break unseen for the AWS SDK for JavaScript. Run by ../js_test.py, which starts the server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as client from "@aws-sdk/client-batch";
import { until } from "./until.mjs";

const batch = new client.BatchClient({});
after(() => batch.destroy());
const queue = "js-arrays";

before(async () => {
  await batch.send(new client.CreateComputeEnvironmentCommand({
    computeEnvironmentName: queue, type: "MANAGED",
    computeResources: { type: "EC2", minvCpus: 0, maxvCpus: 16, instanceTypes: ["optimal"], subnets: ["subnet-1"],
      securityGroupIds: ["sg-1"], instanceRole: "ecsInstanceRole" },
  }));
  await until("environment VALID", async () => (await batch.send(new client.DescribeComputeEnvironmentsCommand(
    { computeEnvironments: [queue] }))).computeEnvironments[0].status === "VALID");
  await batch.send(new client.CreateJobQueueCommand({ jobQueueName: queue, priority: 5,
    computeEnvironmentOrder: [{ order: 1, computeEnvironment: queue }] }));
});

const define = (name, script) => batch.send(new client.RegisterJobDefinitionCommand({
  jobDefinitionName: name, type: "container",
  containerProperties: { image: "millrace", command: ["sh", "-c", script],
    resourceRequirements: [{ type: "VCPU", value: "1" }, { type: "MEMORY", value: "64" }] },
}));
const submit = async (jobDefinition, more = {}) => (await batch.send(new client.SubmitJobCommand(
  { jobName: jobDefinition, jobQueue: queue, jobDefinition, ...more }))).jobId;
const describe = async (...jobs) => (await batch.send(new client.DescribeJobsCommand({ jobs }))).jobs;
const end = (id) => until(`${id} ends`, async () => {
  const [job] = await describe(id);
  return ["SUCCEEDED", "FAILED"].includes(job.status) && job;
});
const counts = (job) => Object.fromEntries(
  Object.entries(job.arrayProperties.statusSummary).filter(([, count]) => count > 0));
const children = async (arrayJobId, jobStatus, pageSize) => {
  const pages = [];
  for await (const page of client.paginateListJobs({ client: batch, pageSize }, { arrayJobId, jobStatus }))
    pages.push(page.jobSummaryList.map((job) => job.jobId));
  return pages.filter((page) => page.length > 0);
};

test("arrays and what depends on them", async () => {
  await define("js-even", "[ $((AWS_BATCH_JOB_ARRAY_INDEX % 2)) = 0 ]");
  const first = await submit("js-even", { arrayProperties: { size: 5 } });
  const second = await submit("js-even", { arrayProperties: { size: 5 }, dependsOn: [{ jobId: first, type: "N_TO_N" }] });
  const third = await submit("js-even", { dependsOn: [{ jobId: first }] });
  const parent = await end(first);
  assert.equal(parent.statusReason, "Array Child Job failed");
  assert.deepEqual(counts(parent), { SUCCEEDED: 3, FAILED: 2 });
  assert.deepEqual(counts(await end(second)), { SUCCEEDED: 3, FAILED: 2 });
  assert.equal((await end(third)).statusReason, "Dependent Job failed");
  const [child, other] = await describe(`${first}:1`, `${second}:1`);
  assert.deepEqual([child.arrayProperties.index, child.container.exitCode, child.attempts.length], [1, 1, 1]);
  assert.deepEqual([other.statusReason, other.attempts.length], ["Dependent Job failed", 0]);
  assert.deepEqual(await children(first, "SUCCEEDED", 2), [[`${first}:0`, `${first}:2`], [`${first}:4`]]);
});

test("CancelJobs and TerminateJobs", async () => {
  await define("js-long", "exec sleep 600");
  const array = await submit("js-long", { arrayProperties: { size: 10_000 } });
  const behind = await submit("js-long");
  await until("a child runs", async () => (await describe(`${array}:0`))[0].status === "RUNNING");
  const cancelled = await batch.send(new client.CancelJobsCommand({
    jobs: [behind, `${array}:0`, `${array}:9000`, "00000000-0000-4000-8000-000000000000"], reason: "not needed" }));
  assert.equal(cancelled.successful.length, 4);
  assert.deepEqual(cancelled.errors, []);
  assert.equal((await end(behind)).statusReason, "not needed");
  assert.equal((await describe(behind))[0].isCancelled, true);
  assert.equal((await end(`${array}:9000`)).statusReason, "not needed");
  assert.equal((await describe(`${array}:0`))[0].status, "RUNNING", "what runs is not cancelled");
  await batch.send(new client.TerminateJobsCommand({ jobs: [array, array], reason: "enough" }));
  const parent = await end(array);
  assert.deepEqual([parent.status, parent.statusReason, parent.isTerminated], ["FAILED", "enough", true]);
  assert.deepEqual(counts(parent), { FAILED: 10_000 });
  const [running, never] = await describe(`${array}:0`, `${array}:9999`);
  assert.deepEqual([running.statusReason, never.statusReason], ["enough", "enough"]);
  const pages = await children(array, "FAILED", 1000);
  assert.equal(pages.length, 10);
  assert.deepEqual(pages.flat(), Array.from({ length: 10_000 }, (_, index) => `${array}:${index}`));
  await assert.rejects(submit("js-long", { arrayProperties: { size: 10_001 } }), client.ClientException);
});
