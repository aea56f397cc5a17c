-- s3://s3-eventbridge-batch/sample-data.txt.manifest:
-- {"entries":[{"url":"s3://s3-eventbridge-batch/sample-data.txt","mandatory":true,"meta":{"content_length":2048}}]}
CREATE TABLE IF NOT EXISTS "public"."millrace_loads" (id bigint IDENTITY(1,1), target varchar(2048) NOT NULL, source varchar(2048) NOT NULL, version varchar(2048) NOT NULL, etag varchar(2048), modified varchar(2048) NOT NULL, size bigint NOT NULL, mode varchar(2048) NOT NULL, rows bigint NOT NULL, rejects bigint NOT NULL, checksum varchar(2048) NOT NULL, job varchar(2048), attempt bigint, loaded_at varchar(2048) NOT NULL);
BEGIN;
LOCK TABLE "public"."millrace_loads";
CREATE TEMP TABLE millrace_stage AS SELECT "id", "state" FROM "public"."persons" WHERE 1 = 0;
COPY millrace_stage FROM 's3://s3-eventbridge-batch/sample-data.txt.manifest' IAM_ROLE default MANIFEST FORMAT AS PARQUET;
-- $ROWS
SELECT COUNT(*) FROM millrace_stage;
INSERT INTO "public"."persons" ("id", "state") SELECT "id", "state" FROM millrace_stage;
INSERT INTO "public"."millrace_loads" (target, source, version, etag, modified, size, mode, rows, rejects, checksum, job, attempt, loaded_at) VALUES ('public.persons', 's3://s3-eventbridge-batch/sample-data.txt', '0123456789abcdef', 'd41d8cd98f00b204e9800998ecf8427e', '2023-11-14T22:13:20.000Z', 2048, 'append', $ROWS, 0, 'd41d8cd98f00b204e9800998ecf8427e', 'job-1', 1, TO_CHAR(GETDATE(), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
COMMIT;
