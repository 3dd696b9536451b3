/** Programs to copy: what it takes to receive a grant's data, filled with the grant's own names. */
import type { Endpoints, Grant } from '../../api/types'

export const LANGUAGES = ['python', 'java', 'kcat', 'curl', 'psql'] as const
export type SnippetLanguage = (typeof LANGUAGES)[number]

export const TITLES: Record<SnippetLanguage, string> = {
  python: 'Python · confluent-kafka', java: 'Java · kafka-clients', kcat: 'kcat', curl: 'curl', psql: 'psql',
}

export interface Access {
  endpoints: Endpoints
  username: string
  password: string
  group: string
  apiKey: string
  /** An item that rows are looked up by. */
  queryKey: string
}

/** The snippets that fit the channels of `grant`. */
export function languagesOf(grant: Grant): SnippetLanguage[] {
  return [
    ...(grant.channels.includes('topic') ? (['python', 'java', 'kcat'] as const) : []),
    ...(grant.channels.includes('api') ? (['curl'] as const) : []),
    ...(grant.channels.includes('table') ? (['psql'] as const) : []),
  ]
}

export function snippet(language: SnippetLanguage, grant: Grant, access: Access): string {
  const { endpoints, username, password, group } = access
  switch (language) {
    case 'python':
      return `# pip install "confluent-kafka[avro,schemaregistry]"
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

consumer = Consumer({
    "bootstrap.servers": "${endpoints.kafka}",
    "security.protocol": "${endpoints.security_protocol}",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "${username}",
    "sasl.password": "${password}",
    "group.id": "${group}",
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
})
consumer.subscribe(["${grant.topic}"])
registry = SchemaRegistryClient({"url": "${endpoints.registry}"})
decode = AvroDeserializer(registry, conf={"subject.name.strategy": topic_subject_name_strategy})

while True:
    message = consumer.poll(1.0)
    if message is None or message.error():
        continue
    if message.value() is None:  # a tombstone follows each delete
        continue
    record = decode(message.value(), SerializationContext(message.topic(), MessageField.VALUE))
    print(record["op"], record["row"])
`
    case 'java':
      return `// org.apache.kafka:kafka-clients, io.confluent:kafka-avro-serializer
Properties settings = new Properties();
settings.put("bootstrap.servers", "${endpoints.kafka}");
settings.put("security.protocol", "${endpoints.security_protocol}");
settings.put("sasl.mechanism", "SCRAM-SHA-512");
settings.put("sasl.jaas.config",
    "org.apache.kafka.common.security.scram.ScramLoginModule required "
        + "username=\\"${username}\\" password=\\"${password}\\";");
settings.put("group.id", "${group}");
settings.put("isolation.level", "read_committed");
settings.put("auto.offset.reset", "earliest");
settings.put("key.deserializer", "io.confluent.kafka.serializers.KafkaAvroDeserializer");
settings.put("value.deserializer", "io.confluent.kafka.serializers.KafkaAvroDeserializer");
settings.put("schema.registry.url", "${endpoints.registry}");

try (var consumer = new KafkaConsumer<GenericRecord, GenericRecord>(settings)) {
    consumer.subscribe(List.of("${grant.topic}"));
    while (true) {
        for (var message : consumer.poll(Duration.ofSeconds(1))) {
            if (message.value() != null) {
                System.out.println(message.value().get("op") + " " + message.value().get("row"));
            }
        }
    }
}
`
    case 'kcat':
      return `kcat -b ${endpoints.kafka} \\
  -X security.protocol=${endpoints.security_protocol} -X sasl.mechanism=SCRAM-SHA-512 \\
  -X sasl.username=${username} -X sasl.password='${password}' \\
  -X isolation.level=read_committed -X auto.offset.reset=earliest \\
  -s avro -r ${endpoints.registry} \\
  -G ${group} ${grant.topic}
`
    case 'curl':
      return `curl -H "Authorization: Bearer ${access.apiKey}" \\
  "${endpoints.rows}/resources/${grant.resource}/rows?${access.queryKey}=…"

# ${access.queryKey}: 1 .. n
curl -H "Authorization: Bearer ${access.apiKey}" \\
  --json '{"item": "${access.queryKey}", "values": ["…", "…"]}' \\
  "${endpoints.rows}/resources/${grant.resource}/rows"
`
    case 'psql': {
      const table = grant.table_target ? `${grant.table_target.schema}.${grant.table_target.table}` : '…'
      return `SELECT * FROM ${table} LIMIT 20;

-- tongshu_offset
SELECT * FROM ${grant.table_target?.schema ?? '…'}.tongshu_offsets;
`
    }
  }
}
