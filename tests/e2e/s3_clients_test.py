"""The S3 endpoint behind Debian's boto3, rclone and s3cmd, with signatures checked."""

import base64
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from millrace_server import MillraceServer  # noqa: E402

from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

# Names that home-made servers get wrong: to be re-encoded, normalised, or split in the wrong place.
NAMES = ["plain.txt", "a b+c%41.txt", "ключ/ß.txt", "deep/er/x=1&y=2.txt", "#frag?q", "'quote\"(1)!*.txt", "~tilde",
         "comma,semi;colon:@$"]


def setUpModule():
    global server
    server = MillraceServer()
    server.__enter__()


def tearDownModule():
    server.__exit__(None, None, None)


def code(call, **arguments):
    """The error code that a call is refused with, or "" when it is not."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


class Boto3(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s3 = server.boto3("s3")

    # Without this a versioned bucket cannot be emptied by the script everybody uses for it.
    def test_versions(self):
        s3, bucket = self.s3, "versions"
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        first = s3.put_object(Bucket=bucket, Key="k", Body=b"one")["VersionId"]
        s3.put_object(Bucket=bucket, Key="k", Body=b"two")
        s3.delete_object(Bucket=bucket, Key="k")
        self.assertEqual(code(s3.get_object, Bucket=bucket, Key="k"), "NoSuchKey")
        self.assertEqual(s3.get_object(Bucket=bucket, Key="k", VersionId=first)["Body"].read(), b"one")
        s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k", "VersionId": first})
        self.assertEqual(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), b"one")
        left = []
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1}):
            left += page.get("Versions", []) + page.get("DeleteMarkers", [])
        self.assertEqual(len(left), 4)
        self.assertEqual(code(s3.delete_bucket, Bucket=bucket), "BucketNotEmpty")
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [
            {"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in left]})
        self.assertEqual(len(answer["Deleted"]), 4)
        s3.delete_bucket(Bucket=bucket)

    # Without this Terraform's plan after its own apply is not empty.
    def test_what_terraform_reads_and_writes(self):
        s3, bucket = self.s3, "terraform"
        s3.create_bucket(Bucket=bucket)
        for get, expected in [("cors", "NoSuchCORSConfiguration"), ("policy", "NoSuchBucketPolicy"),
                              ("tagging", "NoSuchTagSet"), ("website", "NoSuchWebsiteConfiguration"),
                              ("lifecycle_configuration", "NoSuchLifecycleConfiguration"),
                              ("replication", "ReplicationConfigurationNotFoundError")]:
            self.assertEqual(code(getattr(s3, "get_bucket_" + get), Bucket=bucket), expected)
        for get in ["acl", "logging", "versioning", "request_payment", "accelerate_configuration", "encryption",
                    "notification_configuration", "ownership_controls", "location"]:
            getattr(s3, "get_bucket_" + get)(Bucket=bucket)
        self.assertEqual(code(s3.get_object_lock_configuration, Bucket=bucket), "ObjectLockConfigurationNotFoundError")
        rules = [{"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://a.example"], "MaxAgeSeconds": 60}]
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
        self.assertEqual(s3.get_bucket_cors(Bucket=bucket)["CORSRules"], rules)
        policy = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "s3:*",
             "Resource": f"arn:aws:s3:::{bucket}/*"}]})
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
        self.assertEqual(s3.get_bucket_policy(Bucket=bucket)["Policy"], policy)
        self.assertFalse(s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"])
        s3.put_bucket_notification_configuration(Bucket=bucket,
                                                 NotificationConfiguration={"EventBridgeConfiguration": {}})
        self.assertIn("EventBridgeConfiguration", s3.get_bucket_notification_configuration(Bucket=bucket))
        tags = [{"Key": "team", "Value": "a b"}]
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
        self.assertEqual(s3.get_bucket_tagging(Bucket=bucket)["TagSet"], tags)
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [
            {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}}]})
        self.assertEqual(s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]["Expiration"], {"Days": 3})
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
        s3.get_public_access_block(Bucket=bucket)
        s3.delete_public_access_block(Bucket=bucket)
        self.assertEqual(code(s3.get_public_access_block, Bucket=bucket), "NoSuchPublicAccessBlockConfiguration")

    # Without this what one SDK call away from a plain PUT is silently something else.
    def test_objects_with_everything(self):
        s3, bucket = self.s3, "everything"
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="k", Body=b"123456789", Tagging="a=1&b=2", Metadata={"who": "me"},
                      ServerSideEncryption="AES256", ContentMD5="JfnnlDI7RTiF9RgfG2JNCw==")
        self.assertEqual(len(s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]), 2)
        s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
        head = s3.head_object(Bucket=bucket, Key="k")
        self.assertEqual((head["Metadata"], head["ServerSideEncryption"]), ({"who": "me"}, "AES256"))
        told = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ETag", "Checksum", "ObjectSize"])
        self.assertEqual((told["ETag"], told["ObjectSize"]), ("25f9e794323b453885f5181f1b624d0b", 9))
        for algorithm, value in [("CRC32", "y/Q5Jg=="), ("CRC32C", "4waSgw=="),
                                 *((name, base64.b64encode(hashlib.new(name, b"123456789").digest()).decode())
                                   for name in ("SHA1", "SHA256"))]:
            right = {"Checksum" + algorithm: value}
            s3.put_object(Bucket=bucket, Key=algorithm, Body=b"123456789", **right)
            got = s3.get_object(Bucket=bucket, Key=algorithm, ChecksumMode="ENABLED")
            self.assertEqual(got["Checksum" + algorithm], value)
            self.assertEqual(got["Body"].read(), b"123456789")
            wrong = {"Checksum" + algorithm: "A" + value[1:]}
            self.assertEqual(code(s3.put_object, Bucket=bucket, Key="bad", Body=b"123456789", **wrong), "BadDigest")
        self.assertEqual(code(s3.head_object, Bucket=bucket, Key="bad"), "404")
        upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", ChecksumAlgorithm="SHA256")["UploadId"]
        big = os.urandom(6 << 20)
        s3.put_object(Bucket=bucket, Key="big", Body=big)
        parts = []
        for number, span in [(1, "bytes=0-5242879"), (2, "bytes=5242880-6291455")]:
            done = s3.upload_part_copy(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=number,
                                       CopySource=f"{bucket}/big", CopySourceRange=span)["CopyPartResult"]
            parts.append({"PartNumber": number, "ETag": done["ETag"], "ChecksumSHA256": done["ChecksumSHA256"]})
        whole = s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload,
                                             MultipartUpload={"Parts": parts})
        self.assertRegex(whole["ChecksumSHA256"], "-2$")
        self.assertEqual(s3.get_object(Bucket=bucket, Key="parts")["Body"].read(), big)
        one = s3.head_object(Bucket=bucket, Key="parts", PartNumber=2)
        self.assertEqual((one["PartsCount"], one["ContentLength"]), (2, 1 << 20))
        s3.copy_object(Bucket=bucket, Key="whole", CopySource=f"{bucket}/parts")
        self.assertEqual(s3.head_object(Bucket=bucket, Key="whole")["ETag"], f'"{hashlib.md5(big).hexdigest()}"')

    # Without this no browser uploads, and whoever has a form may write anything.
    def test_post_forms(self):
        s3, bucket = self.s3, "forms"
        s3.create_bucket(Bucket=bucket)
        signer = server.boto3("s3", config=Config(signature_version="s3v4"))
        form = signer.generate_presigned_post(bucket, "in/${filename}", Conditions=[["content-length-range", 1, 100]])

        def post(fields, content):
            body = b""
            for name, value in fields.items():
                body += f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            body += b'--B\r\nContent-Disposition: form-data; name="file"; filename="x.bin"\r\n\r\n' + content
            body += b"\r\n--B--\r\n"
            request = urllib.request.Request(form["url"], body, {"Content-Type": "multipart/form-data; boundary=B"})
            try:
                return urllib.request.urlopen(request, timeout=30).status
            except urllib.error.HTTPError as error:
                return error.code

        self.assertEqual(post(form["fields"], b"content"), 204)
        self.assertEqual(s3.get_object(Bucket=bucket, Key="in/x.bin")["Body"].read(), b"content")
        self.assertEqual(post(form["fields"], b"x" * 101), 400)
        self.assertEqual(post({**form["fields"], "key": "elsewhere"}, b"content"), 403)
        self.assertEqual(post({**form["fields"], "x-amz-signature": "0" * 64}, b"content"), 403)
        self.assertEqual(post({"key": "in/y"}, b"content"), 403, "without any signature")
        self.assertEqual([o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]], ["in/x.bin"])


class Tree:
    """A folder with awkward names and sizes, and what is in it."""

    def __init__(self, folder, names=NAMES):
        self.folder = folder
        self.content = {}
        generator = random.Random(4)
        for name, size in zip(names, [0, 1, 100, 20_000, 70_000, 300_000, 5, 9]):
            self.content[name] = generator.randbytes(size)
        self.content["large.bin"] = generator.randbytes(17 << 20)
        for name, data in self.content.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)


def read_tree(folder):
    found = {}
    for path, _, files in os.walk(folder):
        for name in files:
            full = os.path.join(path, name)
            with open(full, "rb") as file:
                found[os.path.relpath(full, folder)] = file.read()
    return found


class Programs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-s3-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.source = os.path.join(self.folder, "source")
        os.mkdir(self.source)
        self.back = os.path.join(self.folder, "back")

    def run_program(self, *words, check=True, **variables):
        done = subprocess.run(words, env={**server.environment, "HOME": self.folder, **variables},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        if check:
            self.assertEqual(done.returncode, 0, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    # Without this nobody moves data in or out with rclone.
    def test_rclone(self):
        if not shutil.which("rclone"):
            self.skipTest("rclone is not installed")
        tree = Tree(self.source)
        config = os.path.join(self.folder, "rclone.conf")
        with open(config, "w") as file:
            file.write(f"[m]\ntype = s3\nprovider = Other\nenv_auth = true\nendpoint = {server.endpoint}\n"
                       "region = us-east-1\n")
        base = ["rclone", "--config", config, "--retries", "1"]
        self.run_program(*base, "mkdir", "m:rclone")
        self.run_program(*base, "copy", self.source, "m:rclone/in", "--s3-upload-cutoff", "8M", "--s3-chunk-size", "5M")
        self.run_program(*base, "check", self.source, "m:rclone/in", "--download")
        self.run_program(*base, "check", self.source, "m:rclone/in")
        self.run_program(*base, "sync", "m:rclone/in", "m:rclone/copied", "--s3-copy-cutoff", "8M")
        self.run_program(*base, "copy", "m:rclone/copied", self.back)
        self.assertEqual(read_tree(self.back), tree.content)
        listed = json.loads(self.run_program(*base, "lsjson", "-R", "--files-only", "m:rclone/in").stdout)
        self.assertEqual({entry["Path"]: entry["Size"] for entry in listed},
                         {name: len(data) for name, data in tree.content.items()})
        os.unlink(os.path.join(self.source, "plain.txt"))
        self.run_program(*base, "sync", self.source, "m:rclone/in")
        self.assertNotIn("plain.txt", self.run_program(*base, "lsf", "m:rclone/in").stdout)
        self.run_program(*base, "moveto", "m:rclone/in/~tilde", "m:rclone/moved")
        self.run_program(*base, "purge", "m:rclone")
        self.assertNotIn("rclone", self.run_program(*base, "lsd", "m:").stdout)

    # Without this the scripts of fifteen years stop.
    def test_s3cmd(self):
        if not shutil.which("s3cmd"):
            self.skipTest("s3cmd is not installed")
        tree = Tree(self.source)
        host = server.endpoint.split("//")[1]
        config = os.path.join(self.folder, "s3cfg")
        with open(config, "w") as file:
            file.write(f"[default]\naccess_key = {server.environment['AWS_ACCESS_KEY_ID']}\n"
                       f"secret_key = {server.environment['AWS_SECRET_ACCESS_KEY']}\nhost_base = {host}\n"
                       f"host_bucket = {host}\nuse_https = False\nsignature_v2 = False\nbucket_location = us-east-1\n"
                       "multipart_chunk_size_mb = 5\n")
        base = ["s3cmd", "-c", config, "--no-progress"]
        run = lambda *words, **more: self.run_program(*base, *words, **more)  # noqa: E731
        run("mb", "s3://s3cmd")
        run("sync", self.source + "/", "s3://s3cmd/in/")
        again = run("sync", self.source + "/", "s3://s3cmd/in/").stdout
        self.assertNotIn("upload:", again, "what is the same is not sent again")
        run("sync", "s3://s3cmd/in/", self.back + "/")
        self.assertEqual(read_tree(self.back), tree.content)
        self.assertIn("in/ключ/ß.txt", run("ls", "-r", "s3://s3cmd/").stdout)
        run("cp", "s3://s3cmd/in/large.bin", "s3://s3cmd/copy.bin")
        run("mv", "s3://s3cmd/copy.bin", "s3://s3cmd/moved.bin")
        self.assertIn("MD5 sum", run("info", "s3://s3cmd/moved.bin").stdout)
        self.assertIn("Location", run("info", "s3://s3cmd").stdout)
        run("modify", "--add-header=x-amz-meta-a:b", "s3://s3cmd/moved.bin")
        self.assertIn("x-amz-meta-a", run("info", "s3://s3cmd/moved.bin").stdout)
        policy = os.path.join(self.folder, "policy.json")
        with open(policy, "w") as file:
            json.dump({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*",
                                                               "Resource": "*"}]}, file)
        run("setpolicy", policy, "s3://s3cmd")
        run("delpolicy", "s3://s3cmd")
        self.assertIn("17825792", run("du", "s3://s3cmd/in/large.bin").stdout)
        run("del", "-r", "--force", "s3://s3cmd/")
        run("rb", "s3://s3cmd")


class ObjectsCommand(unittest.TestCase):
    def run_objects(self, *words, exit_code=0):
        done = subprocess.run([server.binary, "objects", *words, "--data", server.data], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, exit_code, done.stderr)
        return done.stdout

    # Without this users see their data only through the endpoint, and rot is found when the data is needed.
    def test_ls_cat_and_verify_beside_the_running_engine(self):
        s3 = server.boto3("s3")
        s3.create_bucket(Bucket="seen")
        s3.put_object(Bucket="seen", Key="folder/a\nb", Body=b"content\n")
        large = os.urandom(100_000)
        s3.put_object(Bucket="seen", Key="large", Body=large)
        self.assertIn(b"s3://seen\n", self.run_objects("ls"))
        listed = self.run_objects("ls", "s3://seen").decode().splitlines()
        self.assertEqual([line.split()[-1] for line in listed], ["folder/", "large"])
        self.assertIn(b"folder/a\\x0ab", self.run_objects("ls", "-r", "s3://seen/"))
        entries = [json.loads(line) for line in self.run_objects("ls", "-r", "--json", "s3://seen").splitlines()]
        self.assertEqual([(e["Key"], e["Size"]) for e in entries], [("folder/a\nb", 8), ("large", 100_000)])
        self.assertEqual(self.run_objects("cat", "s3://seen/folder/a\nb"), b"content\n")
        self.assertEqual(self.run_objects("cat", "s3://seen/large"), large)
        self.run_objects("cat", "s3://seen/none", exit_code=1)
        self.run_objects("ls", "/seen", exit_code=2)
        self.assertIn(b" 0 damaged", self.run_objects("verify"))
        for path, _, files in os.walk(os.path.join(server.data, "objects", "content")):
            for name in files:
                with open(os.path.join(path, name), "r+b") as file:
                    if file.read() == large:
                        file.seek(50_000)
                        file.write(bytes([large[50_000] ^ 1]))
        self.assertIn(b"s3://seen/large: ", self.run_objects("verify", exit_code=3))
        s3.delete_object(Bucket="seen", Key="large")
        self.assertIn(b" 0 damaged", self.run_objects("verify"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
