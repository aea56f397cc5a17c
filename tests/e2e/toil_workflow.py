"""A workflow of 12 jobs for toil_test.py: one fans out into ten, one takes their results. Knows only Toil."""

import os

from toil.common import Toil
from toil.job import Job

SIZE = {"memory": "512Mi", "cores": 1, "disk": "1Mi"}
PARTS = 10


def split(job):
    parts = [job.addChildJobFn(square, number, **SIZE).rv() for number in range(PARTS)]
    return job.addFollowOnJobFn(total, parts, **SIZE).rv()


def square(job, number):
    return number * number, os.environ["AWS_BATCH_JOB_ID"]


def total(job, parts):
    return sum(value for value, _ in parts), [job_id for _, job_id in parts], os.environ["AWS_BATCH_JOB_ID"]


if __name__ == "__main__":
    options = Job.Runner.getDefaultArgumentParser().parse_args()
    with Toil(options) as toil:
        value, children, last = toil.start(Job.wrapJobFn(split, **SIZE))
    print("sum", value)
    print("children", *children)
    print("last", last)
