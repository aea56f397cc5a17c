-- s3://s3-eventbridge-batch/sample-data.txt.manifest:
-- {"entries":[{"url":"s3://s3-eventbridge-batch/sample-data.txt","mandatory":true,"meta":{"content_length":2048}}]}
CREATE TABLE IF NOT EXISTS "public"."millrace_loads" (id bigint IDENTITY(1,1), target varchar(2048) NOT NULL, source varchar(2048) NOT NULL, version varchar(2048) NOT NULL, etag varchar(2048), modified varchar(2048) NOT NULL, size bigint NOT NULL, mode varchar(2048) NOT NULL, rows bigint NOT NULL, rejects bigint NOT NULL, checksum varchar(2048) NOT NULL, job varchar(2048), attempt bigint, loaded_at varchar(2048) NOT NULL);
BEGIN;
LOCK TABLE "public"."millrace_loads";
CREATE TEMP TABLE millrace_stage AS SELECT "id", "email", "state", "postal", "address" FROM "public"."persons" WHERE 1 = 0;
COPY millrace_stage FROM 's3://s3-eventbridge-batch/sample-data.txt.manifest' IAM_ROLE 'arn:aws:iam::123456789012:role/loader' MANIFEST REGION AS 'us-east-1' FORMAT AS CSV QUOTE AS '"' DELIMITER AS '\t' IGNOREHEADER AS 1 EMPTYASNULL NULL AS '\N' GZIP DATEFORMAT AS 'YYYY-MM-DD' TIMEFORMAT AS 'auto' STATUPDATE OFF COMPUPDATE OFF MAXERROR AS 11;
-- $ROWS
SELECT COUNT(*) FROM millrace_stage;
-- $REJECTS
SELECT COUNT(*) FROM stl_load_errors WHERE query = PG_LAST_COPY_ID();
-- more than 0: ROLLBACK
SELECT COUNT(*) - (SELECT COUNT(*) FROM (SELECT DISTINCT "id" FROM millrace_stage) AS k) FROM millrace_stage;
UPDATE "public"."persons" SET "email" = millrace_stage."email", "state" = millrace_stage."state", "postal" = millrace_stage."postal", "address" = millrace_stage."address" FROM millrace_stage WHERE "public"."persons"."id" = millrace_stage."id" AND ("public"."persons"."email" <> millrace_stage."email" OR ("public"."persons"."email" IS NULL AND millrace_stage."email" IS NOT NULL) OR ("public"."persons"."email" IS NOT NULL AND millrace_stage."email" IS NULL) OR "public"."persons"."state" <> millrace_stage."state" OR ("public"."persons"."state" IS NULL AND millrace_stage."state" IS NOT NULL) OR ("public"."persons"."state" IS NOT NULL AND millrace_stage."state" IS NULL) OR "public"."persons"."postal" <> millrace_stage."postal" OR ("public"."persons"."postal" IS NULL AND millrace_stage."postal" IS NOT NULL) OR ("public"."persons"."postal" IS NOT NULL AND millrace_stage."postal" IS NULL) OR "public"."persons"."address" <> millrace_stage."address" OR ("public"."persons"."address" IS NULL AND millrace_stage."address" IS NOT NULL) OR ("public"."persons"."address" IS NOT NULL AND millrace_stage."address" IS NULL));
DELETE FROM millrace_stage USING "public"."persons" WHERE "public"."persons"."id" = millrace_stage."id";
INSERT INTO "public"."persons" ("id", "email", "state", "postal", "address") SELECT "id", "email", "state", "postal", "address" FROM millrace_stage;
INSERT INTO "public"."millrace_loads" (target, source, version, etag, modified, size, mode, rows, rejects, checksum, job, attempt, loaded_at) VALUES ('public.persons', 's3://s3-eventbridge-batch/sample-data.txt', '0123456789abcdef', 'd41d8cd98f00b204e9800998ecf8427e', '2023-11-14T22:13:20.000Z', 2048, 'upsert', $ROWS, $REJECTS, 'd41d8cd98f00b204e9800998ecf8427e', 'job-1', 1, TO_CHAR(GETDATE(), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
COMMIT;
