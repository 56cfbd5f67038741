"""What is pure about keys in PKCS#11 tokens: names, public halves, the bytes that go to and fro."""
