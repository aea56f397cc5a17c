// Without this: the newest SDK for JavaScript cannot keep its secrets here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SecretsManager } from '@aws-sdk/client-secrets-manager';
import { SSM } from '@aws-sdk/client-ssm';

test('secrets: create, put, list by pages, batch get, delete', async () => {
  const client = new SecretsManager();
  const names = ['js/a', 'js/b', 'js/c'];
  for (const name of names) await client.createSecret({ Name: name, SecretString: `of ${name}` });
  await client.putSecretValue({ SecretId: 'js/a', SecretBinary: new Uint8Array([1, 2, 3]) });
  const value = await client.getSecretValue({ SecretId: 'js/a' });
  assert.deepEqual([...value.SecretBinary], [1, 2, 3]);
  assert.ok(value.CreatedDate instanceof Date);
  const seen = [];
  let token;
  do {
    const page = await client.listSecrets({ MaxResults: 1, NextToken: token, SortOrder: 'asc',
      Filters: [{ Key: 'name', Values: ['js/'] }] });
    seen.push(...page.SecretList.map((s) => s.Name));
    token = page.NextToken;
  } while (token);
  assert.deepEqual(seen, names);
  const batch = await client.batchGetSecretValue({ SecretIdList: ['js/b', 'js/none'] });
  assert.deepEqual(batch.SecretValues.map((s) => s.SecretString), ['of js/b']);
  assert.equal(batch.Errors[0].ErrorCode, 'ResourceNotFoundException');
  await client.deleteSecret({ SecretId: 'js/c', ForceDeleteWithoutRecovery: true });
  await assert.rejects(client.getSecretValue({ SecretId: 'js/c' }), { name: 'ResourceNotFoundException' });
});

test('parameters: put, get, by path', async () => {
  const ssm = new SSM();
  await ssm.putParameter({ Name: '/js/one', Type: 'SecureString', Value: 'hidden' });
  const { Parameter } = await ssm.getParameter({ Name: '/js/one', WithDecryption: true });
  assert.equal(Parameter.Value, 'hidden');
  const { Parameters } = await ssm.getParametersByPath({ Path: '/js', WithDecryption: true });
  assert.deepEqual(Parameters.map((p) => p.Name), ['/js/one']);
  await assert.rejects(ssm.getParameter({ Name: '/js/none' }), { name: 'ParameterNotFound' });
});
