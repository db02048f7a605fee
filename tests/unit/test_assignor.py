"""A partition number belongs to one worker in every topic, whatever each of them reads."""

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from hypothesis import given
from hypothesis import strategies as st

from pipeline.assignor import WholeNumbers

TOPICS = ["email", "fax", "phone", "web"]
READ = st.sets(st.sampled_from(TOPICS), min_size=1)
MEMBERS = st.dictionaries(st.sampled_from([f"worker-{n}" for n in range(7)]), READ, min_size=1)


class Cluster(ClusterMetadata):
    def __init__(self, counts):
        super().__init__()
        self.counts = counts

    def partitions_for_topic(self, topic):
        return set(range(self.counts[topic])) if topic in self.counts else None


def assigned(assignor, counts, members):
    told = {member: assignor.metadata(sorted(topics)) for member, topics in members.items()}
    shares = assignor.assign(Cluster(counts), told)
    assert set(shares) == set(members)
    return {
        member: {(topic, number) for topic, numbers in share.assignment for number in numbers}
        for member, share in shares.items()
    }


@given(st.integers(1, 20), MEMBERS)
def test_where_all_read_the_same_it_is_the_range_assignor_of_kafka(count, members):
    counts = dict.fromkeys(TOPICS, count)
    members = dict.fromkeys(members, set(TOPICS))
    expected = assigned(RangePartitionAssignor, counts, members)
    assert assigned(WholeNumbers, counts, members) == expected


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(TOPICS, st.integers(1, 20))), MEMBERS)
def test_a_number_has_one_owner_who_gets_all_of_it_that_it_reads(counts, members):
    found = assigned(WholeNumbers, counts, members)
    numbers = range(
        max((counts[t] for each in members.values() for t in each & set(counts)), default=0)
    )
    owners = {
        number: [m for m, share in found.items() if number in {n for _, n in share}]
        for number in numbers
    }
    assert all(len(some) <= 1 for some in owners.values())
    for number, some in owners.items():
        for member in some:
            mine = {topic for topic in members[member] if number < counts.get(topic, 0)}
            assert {topic for topic, n in found[member] if n == number} == mine


@given(st.integers(1, 20), MEMBERS)
def test_what_every_worker_reads_is_all_assigned_and_evenly(count, members):
    members = {member: topics | {"web"} for member, topics in members.items()}
    found = assigned(WholeNumbers, dict.fromkeys(TOPICS, count), members)
    shares = [{number for topic, number in share if topic == "web"} for share in found.values()]
    assert sorted(number for share in shares for number in share) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_what_no_owner_of_its_number_reads_waits_and_is_told(caplog):
    members = {"new": {"email", "fax"}, "old": {"email"}}
    found = assigned(WholeNumbers, {"email": 4, "fax": 4}, members)
    assert found["new"] == {("email", 0), ("email", 1), ("fax", 0), ("fax", 1)}
    assert found["old"] == {("email", 2), ("email", 3)}
    assert "fax: 2 partitions wait" in caplog.text
