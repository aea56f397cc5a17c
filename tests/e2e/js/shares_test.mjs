// Without this: shares, consumable resources and the snapshot of a queue break unseen for the AWS SDK for
// JavaScript, the only client here that knows them all. Run by ../js_test.py, which starts the server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as client from "@aws-sdk/client-batch";
import { until } from "./until.mjs";

const batch = new client.BatchClient({});
after(() => batch.destroy());
const queue = "js-shares";

before(async () => {
  await batch.send(new client.CreateComputeEnvironmentCommand({
    computeEnvironmentName: queue, type: "MANAGED",
    computeResources: { type: "EC2", minvCpus: 0, maxvCpus: 1, instanceTypes: ["optimal"], subnets: ["subnet-1"],
      securityGroupIds: ["sg-1"], instanceRole: "ecsInstanceRole" },
  }));
  const { arn } = await batch.send(new client.CreateSchedulingPolicyCommand({
    name: queue, fairsharePolicy: { shareDecaySeconds: 600, shareDistribution: [{ shareIdentifier: "team*", weightFactor: 0.5 }] },
    tags: { made: "here" } }));
  const described = await batch.send(new client.DescribeSchedulingPoliciesCommand({ arns: [arn] }));
  assert.equal(described.schedulingPolicies[0].fairsharePolicy.shareDistribution[0].weightFactor, 0.5);
  assert.deepEqual(described.schedulingPolicies[0].tags, { made: "here" });
  await batch.send(new client.CreateJobQueueCommand({ jobQueueName: queue, priority: 5, schedulingPolicyArn: arn,
    computeEnvironmentOrder: [{ order: 1, computeEnvironment: queue }] }));
  await batch.send(new client.CreateConsumableResourceCommand({ consumableResourceName: queue, totalQuantity: 1 }));
  await batch.send(new client.RegisterJobDefinitionCommand({
    jobDefinitionName: queue, type: "container", schedulingPriority: 7,
    consumableResourceProperties: { consumableResourceList: [{ consumableResource: queue, quantity: 1 }] },
    containerProperties: { image: "millrace", command: ["sleep", "600"],
      resourceRequirements: [{ type: "VCPU", value: "1" }, { type: "MEMORY", value: "64" }] } }));
});

test("a queue with shares shows its front, its use and its jobs by share", async () => {
  const submit = async (shareIdentifier) => (await batch.send(new client.SubmitJobCommand(
    { jobName: "j", jobQueue: queue, jobDefinition: queue, shareIdentifier }))).jobId;
  const running = await submit("team-a");
  await until("the first runs", async () => (await batch.send(new client.DescribeJobsCommand({ jobs: [running] })))
    .jobs[0].status === "RUNNING");
  const waiting = [await submit("team-a"), await submit("other")];
  const shot = await batch.send(new client.GetJobQueueSnapshotCommand({ jobQueue: queue }));
  assert.deepEqual(shot.frontOfQueue.jobs.map((job) => job.jobArn.split("/").pop()), [waiting[1], waiting[0]]);
  assert.equal(shot.queueUtilization.totalCapacityUsage[0].quantity, 1);
  assert.deepEqual(shot.queueUtilization.fairshareUtilization, { activeShareCount: 2,
    topCapacityUtilization: [{ shareIdentifier: "team-a", capacityUsage: [{ capacityUnit: "VCPU", quantity: 1 }] }] });
  const [job] = (await batch.send(new client.DescribeJobsCommand({ jobs: [waiting[0]] }))).jobs;
  assert.deepEqual([job.shareIdentifier, job.schedulingPriority], ["team-a", 7]);
  assert.deepEqual(job.consumableResourceProperties.consumableResourceList, [{ consumableResource: queue, quantity: 1 }]);
  const listed = await batch.send(new client.ListJobsCommand({ jobQueue: queue, jobStatus: "RUNNABLE",
    filters: [{ name: "SHARE_IDENTIFIER", values: ["other"] }] }));
  assert.deepEqual(listed.jobSummaryList.map((each) => [each.jobId, each.shareIdentifier]), [[waiting[1], "other"]]);
  const users = await batch.send(new client.ListJobsByConsumableResourceCommand({ consumableResource: queue,
    filters: [{ name: "JOB_STATUS", values: ["RUNNABLE"] }] }));
  assert.deepEqual(users.jobs.map((each) => each.quantity), [1, 1]);
  const resource = await batch.send(new client.DescribeConsumableResourceCommand({ consumableResource: queue }));
  assert.deepEqual([resource.inUseQuantity, resource.availableQuantity, resource.resourceType], [1, 0, "REPLENISHABLE"]);
  await batch.send(new client.TerminateJobsCommand({ jobs: [running, ...waiting], reason: "over" }));
});
