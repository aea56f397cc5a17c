"""Without this: `millrace copy` works with our own endpoint and with no other one. Ceph's radosgw is the other one here."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from copy_test import AWKWARD  # noqa: E402
from millrace_server import MillraceServer  # noqa: E402

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/radosgw.sh")


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@unittest.skipUnless(all(shutil.which(p) for p in ("radosgw", "ceph-mon", "ceph-osd", "ceph")), "Ceph is not installed")
class CopyRadosgw(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="millrace-copy-rgw-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        port = free_port()
        cls.gateway = subprocess.Popen([SCRIPT, cls.folder + "/ceph", str(port), str(free_port())], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True)
        cls.addClassCleanup(cls.stop_gateway)
        for line in cls.gateway.stdout:
            if "ready" in line:
                break
        else:
            raise RuntimeError("radosgw did not start")
        cls.endpoint = f"http://127.0.0.1:{port}"
        import boto3
        from botocore.config import Config
        cls.s3 = boto3.client("s3", endpoint_url=cls.endpoint, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET,
                              config=Config(s3={"addressing_style": "path"}))
        for bucket in ("src", "dst"):
            cls.s3.create_bucket(Bucket=bucket)

    @classmethod
    def stop_gateway(cls):
        cls.gateway.stdin.close()
        cls.gateway.wait(timeout=60)
        cls.gateway.stdout.close()

    def copy(self, *words, code=0, **variables):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        environment.update({"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": self.endpoint,
                            "AWS_CONFIG_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true", "XDG_STATE_HOME": self.folder, **variables})
        done = subprocess.run([os.environ["MILLRACE_BINARY"], "copy", "--quiet", *words], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=180)
        self.assertEqual(done.returncode, code, done.stdout[-2000:] + done.stderr[-2000:])
        return json.loads(done.stdout.splitlines()[-1])

    def keys(self, bucket, prefix):
        return [o["Key"] for o in self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]

    def test_every_key_arrives_as_it_is(self):
        for key in AWKWARD:
            self.s3.put_object(Bucket="src", Key="k/" + key, Body=key.encode())
        self.s3.put_object(Bucket="dst", Key="k/extra", Body=b"")
        result = self.copy("s3://src/k/", "s3://dst/k/", "--delete")
        self.assertEqual((result["counts"]["copied"], result["counts"]["deleted"]), (len(AWKWARD), 1))
        self.assertEqual(self.keys("dst", "k/"), sorted(("k/" + key for key in AWKWARD), key=str.encode))
        for key in AWKWARD:
            self.assertEqual(self.s3.get_object(Bucket="dst", Key="k/" + key)["Body"].read(), key.encode())
        self.assertEqual(self.copy("s3://src/k/", "s3://dst/k/", "--delete")["counts"]["skipped"], len(AWKWARD))

    def test_everything_is_kept_on_both_sides_of_the_multipart_line(self):
        for key, size in (("small", 10), ("large", 7 << 20)):
            self.s3.put_object(Bucket="src", Key="m/" + key, Body=os.urandom(size), ContentType="text/x-y", CacheControl="no-cache",
                               Metadata={"who": "me"}, Tagging="one=1&two=a%20b", ACL="public-read")
        self.copy("s3://src/m/", "s3://dst/m/", "--multipart-threshold", "5M", "--acl", "keep", "--verify")
        for key in ("small", "large"):
            with self.subTest(key):
                head = self.s3.head_object(Bucket="dst", Key="m/" + key)
                self.assertEqual((head["ContentType"], head["CacheControl"], head["Metadata"]), ("text/x-y", "no-cache", {"who": "me"}))
                tags = self.s3.get_object_tagging(Bucket="dst", Key="m/" + key)["TagSet"]
                self.assertEqual({tag["Key"]: tag["Value"] for tag in tags}, {"one": "1", "two": "a b"})
                grants = self.s3.get_object_acl(Bucket="dst", Key="m/" + key)["Grants"]
                self.assertIn("READ", [g["Permission"] for g in grants if g["Grantee"].get("URI", "").endswith("AllUsers")])
                self.assertEqual(self.s3.get_object(Bucket="dst", Key="m/" + key)["Body"].read(),
                                 self.s3.get_object(Bucket="src", Key="m/" + key)["Body"].read())

    def test_from_and_to_our_own_endpoint(self):
        with MillraceServer() as server:
            ours = server.boto3("s3")
            ours.create_bucket(Bucket="ours")
            for key, size in (("small ü", 5), ("large", 20 << 20)):
                self.s3.put_object(Bucket="src", Key="o/" + key, Body=os.urandom(size), Metadata={"m": "1"}, Tagging="t=1", ContentType="a/b")
            with open(self.folder + "/credentials", "w", encoding="utf-8") as file:
                file.write(f"[ours]\naws_access_key_id={server.environment['AWS_ACCESS_KEY_ID']}\n"
                           f"aws_secret_access_key={server.environment['AWS_SECRET_ACCESS_KEY']}\n"
                           f"[ceph]\naws_access_key_id={KEY}\naws_secret_access_key={SECRET}\n")
            profiles = {"AWS_SHARED_CREDENTIALS_FILE": self.folder + "/credentials"}
            self.copy("s3://src/o/", "s3://ours/o/", "--verify", "--source-profile", "ceph", "--destination-profile", "ours",
                      "--destination-endpoint", server.endpoint, **profiles)
            self.copy("s3://ours/o/", "s3://dst/back/", "--verify", "--source-profile", "ours", "--destination-profile", "ceph",
                      "--source-endpoint", server.endpoint, **profiles)
            for key in ("small ü", "large"):
                body = self.s3.get_object(Bucket="src", Key="o/" + key)["Body"].read()
                self.assertEqual(ours.get_object(Bucket="ours", Key="o/" + key)["Body"].read(), body)
                back = self.s3.get_object(Bucket="dst", Key="back/" + key)
                self.assertEqual((back["Body"].read(), back["Metadata"], back["ContentType"]), (body, {"m": "1"}, "a/b"))
                self.assertEqual(self.s3.get_object_tagging(Bucket="dst", Key="back/" + key)["TagSet"], [{"Key": "t", "Value": "1"}])
                self.assertEqual(ours.get_object_tagging(Bucket="ours", Key="o/" + key)["TagSet"], [{"Key": "t", "Value": "1"}])

    def test_folders(self):
        os.makedirs(self.folder + "/up/a b")
        for name in ("a b/ü+", "x"):
            with open(f"{self.folder}/up/{name}", "w", encoding="utf-8") as file:
                file.write(name)
            os.utime(f"{self.folder}/up/{name}", (1_700_000_000, 1_700_000_000))
        self.assertEqual(self.copy(self.folder + "/up", "s3://dst/up/")["counts"]["copied"], 2)
        self.assertEqual(self.copy(self.folder + "/up", "s3://dst/up/")["counts"]["skipped"], 2)
        self.copy("s3://dst/up/", self.folder + "/down")
        self.assertEqual(self.copy("s3://dst/up/", self.folder + "/down")["counts"]["skipped"], 2)
        subprocess.run(["diff", "-r", self.folder + "/up", self.folder + "/down"], check=True)


if __name__ == "__main__":
    unittest.main()
