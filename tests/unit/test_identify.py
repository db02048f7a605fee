from pydantic import SecretStr

from pipeline.identify import Keyring, partition_key


def test_keys_depend_on_kind_value_and_pepper_only():
    ring, same = Keyring(SecretStr("p" * 20)), Keyring(SecretStr("p" * 20))
    other = Keyring(SecretStr("q" * 20))
    assert ring.key("email", "ada@example.com") == same.key("email", " Ada@Example.com ")
    assert ring.key("email", "ada@example.com") != other.key("email", "ada@example.com")
    assert ring.key("email", "1") != ring.key("customer_id", "1")
    assert ring.key("phone", "+31 (20) 123-45") == ring.key("phone", "+312012345")
    assert len(ring.key("phone", "1")) == 32
    assert "ada" not in ring.key("email", "ada@example.com")


def test_the_strongest_identifier_names_the_customer():
    ring = Keyring(SecretStr("p" * 20))
    known = {"email": "ada@example.com", "anonymous_id": "a", "customer_id": "C-1", "device": "d"}
    keys = ring.keys(known)
    assert list(keys) == ["customer_id", "email", "anonymous_id", "device"]
    assert next(iter(keys.values())) == ring.key("customer_id", "C-1")
    assert partition_key(known) == b"customer_id:C-1"
    assert partition_key({"email": "ADA@example.com"}) == b"email:ada@example.com"
    assert partition_key({"device": "d"}) == b"device:d"
