// Which services Millrace carries, and what each of the three sources of facts calls them.
export const services = [
  { table: 'batch', client: 'client-batch', v2: 'batch-2016-08-10', botocore: 'batch', signing: 'batch', protocol: 'RestJson' },
  { table: 'cloudtrail', client: 'client-cloudtrail', v2: 'cloudtrail-2013-11-01', botocore: 'cloudtrail', signing: 'cloudtrail', protocol: 'Json11' },
  { table: 'events', client: 'client-eventbridge', v2: 'eventbridge-2015-10-07', botocore: 'events', signing: 'events', protocol: 'Json11' },
  { table: 'iam', client: 'client-iam', v2: 'iam-2010-05-08', botocore: 'iam', signing: 'iam', protocol: 'Query' },
  { table: 'logs', client: 'client-cloudwatch-logs', v2: 'logs-2014-03-28', botocore: 'logs', signing: 'logs', protocol: 'Json11' },
  { table: 's3', client: 'client-s3', v2: 's3-2006-03-01', botocore: 's3', signing: 's3', protocol: 'RestXml' },
  { table: 'scheduler', client: 'client-scheduler', v2: 'scheduler-2021-06-30', botocore: 'scheduler', signing: 'scheduler', protocol: 'RestJson' },
  { table: 'secretsmanager', client: 'client-secrets-manager', v2: 'secretsmanager-2017-10-17', botocore: 'secretsmanager', signing: 'secretsmanager', protocol: 'Json11' },
  { table: 'ssm', client: 'client-ssm', v2: 'ssm-2014-11-06', botocore: 'ssm', signing: 'ssm', protocol: 'Json11' },
  { table: 'sts', client: 'client-sts', v2: 'sts-2011-06-15', botocore: 'sts', signing: 'sts', protocol: 'Query' },
];
