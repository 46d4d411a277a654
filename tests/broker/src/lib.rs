//! A broker for tests, on the wire of Apache Kafka. It is test equipment: it ships in no binary.
