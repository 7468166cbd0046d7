"""A real Kafka, schema registry, Kafka Connect and S3 server without containers: fetched by name and version from
package registries, run as plain processes on loopback."""
