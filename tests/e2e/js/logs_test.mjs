// Without this: the newest AWS SDK for JavaScript, whose StartLiveTail the other clients of these tests do not
// know, stops working with our logs unseen. Run by ../js_test.py, which starts the server.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import * as logsClient from "@aws-sdk/client-cloudwatch-logs";
import { until } from "./until.mjs";

// StartLiveTail's host prefix makes a name that does not resolve of 127.0.0.1.
const logs = new logsClient.CloudWatchLogsClient({ disableHostPrefix: true });
after(() => logs.destroy());
const send = (name, input) => logs.send(new logsClient[`${name}Command`](input));
const put = (logGroupName, logStreamName, ...messages) => send("PutLogEvents", {
  logGroupName, logStreamName, logEvents: messages.map((message, i) => ({ timestamp: Date.now() + i, message })),
});

test("Logs: groups, streams, put, get, filter, tags, retention", async () => {
  const logGroupName = "js/logs";
  await send("CreateLogGroup", { logGroupName, tags: { made: "by js" } });
  await send("CreateLogStream", { logGroupName, logStreamName: "one" });
  await put(logGroupName, "one", '{"level":"ERROR","n":1}', '{"level":"INFO","n":2}', "plain Grüße");
  const filtered = [];
  for await (const page of logsClient.paginateFilterLogEvents({ client: logs, pageSize: 1 },
    { logGroupName, filterPattern: '{ $.level = "ERR*" || $.n > 1 }' }))
    filtered.push(...page.events.map((event) => event.message));
  assert.deepEqual(filtered, ['{"level":"ERROR","n":1}', '{"level":"INFO","n":2}']);
  const got = [];
  let nextToken;
  for (;;) {
    const page = await send("GetLogEvents",
      { logGroupName, logStreamName: "one", startFromHead: true, limit: 2, nextToken });
    got.push(...page.events.map((event) => event.message));
    if (page.nextForwardToken === nextToken) break;
    nextToken = page.nextForwardToken;
  }
  assert.deepEqual(got.slice(2), ["plain Grüße"]);

  await send("PutRetentionPolicy", { logGroupName, retentionInDays: 7 });
  const [group] = (await send("DescribeLogGroups", { logGroupNamePrefix: logGroupName })).logGroups;
  assert.equal(group.retentionInDays, 7);
  await send("TagResource", { resourceArn: group.logGroupArn, tags: { shot: "010" } });
  await send("UntagResource", { resourceArn: group.logGroupArn, tagKeys: ["made"] });
  assert.deepEqual((await send("ListTagsForResource", { resourceArn: group.logGroupArn })).tags, { shot: "010" });
  assert.deepEqual((await send("ListLogGroups", { logGroupNamePattern: "js/" })).logGroups.map((g) => g.logGroupName),
    [logGroupName]);
  await assert.rejects(send("FilterLogEvents", { logGroupName, filterPattern: "{ $.a = 1" }),
    { name: "InvalidParameterException", message: "If a filter pattern starts with '{' it must end with '}'" });
  await assert.rejects(put(logGroupName, "none", "x"), { name: "ResourceNotFoundException" });
  await send("DeleteLogGroup", { logGroupName });
  await assert.rejects(send("DescribeLogStreams", { logGroupName }), { name: "ResourceNotFoundException" });
});

test("Logs: a live tail", async () => {
  for (const logGroupName of ["live/a", "live/b", "live/c"]) {
    await send("CreateLogGroup", { logGroupName });
    await send("CreateLogStream", { logGroupName, logStreamName: "s" });
  }
  await put("live/a", "s", "before");
  const { logGroups } = await send("DescribeLogGroups", { logGroupNamePrefix: "live/" });
  const logGroupIdentifiers = logGroups.slice(0, 2).map((group) => group.logGroupArn);
  const stop = new AbortController();
  const { responseStream } = await logs.send(new logsClient.StartLiveTailCommand(
    { logGroupIdentifiers, logEventFilterPattern: "-secret" }), { abortSignal: stop.signal });
  const seen = [];
  let started, empty = 0;
  for await (const event of responseStream) {
    if (event.sessionStart) {
      started = event.sessionStart;
      continue;
    }
    assert.equal(event.sessionUpdate.sessionMetadata.sampled, false);
    const results = event.sessionUpdate.sessionResults;
    empty += results.length === 0;
    if (empty === 1 && results.length === 0) {
      await put("live/a", "s", "one", "secret");
      await put("live/c", "s", "of a group that nobody follows");
      await put("live/b", "s", "two");
    }
    seen.push(...results);
    if (seen.length >= 2) break;
  }
  stop.abort();
  assert.deepEqual(started.logGroupIdentifiers, logGroupIdentifiers);
  assert.equal(started.logEventFilterPattern, "-secret");
  assert.deepEqual(seen.map(({ logGroupIdentifier, logStreamName, message }) =>
    [logGroupIdentifier, logStreamName, message]).sort(), [
    [logGroupIdentifiers[0], "s", "one"], [logGroupIdentifiers[1], "s", "two"]]);

  await assert.rejects(send("StartLiveTail", { logGroupIdentifiers: Array(11).fill(logGroupIdentifiers[0]) }),
    { name: "InvalidParameterException" });

  // More than fits an update is sampled, and the tail goes on.
  const enough = new AbortController();
  const flood = await logs.send(new logsClient.StartLiveTailCommand({ logGroupIdentifiers }),
    { abortSignal: enough.signal });
  let sampled = false;
  const flooding = put("live/a", "s", ...Array.from({ length: 2000 }, (_, i) => `line ${i}`));
  for await (const event of flood.responseStream) {
    const update = event.sessionUpdate;
    if (!update?.sessionResults.length) continue;
    assert.ok(update.sessionResults.length <= 500);
    sampled ||= update.sessionMetadata.sampled;
    if (sampled) break;
  }
  enough.abort();
  await flooding;
  assert.ok(sampled);
});

test("Logs: sessions of clients that left are forgotten", async () => {
  const { logGroups } = await send("DescribeLogGroups", { logGroupNamePrefix: "live/a" });
  // To leave the loop over its events does not end a session in this SDK, to abort the request does.
  for (let i = 0; i < 20; ++i) {
    const stop = new AbortController();
    const { responseStream } = await until("a session can be opened", () => logs.send(
      new logsClient.StartLiveTailCommand({ logGroupIdentifiers: [logGroups[0].logGroupArn] }),
      { abortSignal: stop.signal }).catch((error) => {
      assert.equal(error.name, "LimitExceededException");
      return false;
    }));
    for await (const event of responseStream) if (event.sessionStart) break;
    stop.abort();
  }
});
