-- The reader is an analyst: the views and what they are made of, and nothing can be changed, not even
-- a setting (readonly = 1). Enough for every named query, `touchline query` and `touchline export`.
--
-- Views run with the rights of who asks, so the tables below them are granted too, column by column
-- where a column is kept back: `details` and `extra` hold what producers put into free fields, as it
-- was sent, and nobody has looked whether that is a name, an address or the text of a complaint.
-- Identifiers are keyed hashes wherever they are. So `SELECT *` from interactions is refused; name
-- columns. Who has to read details gets them by a role of the operator's, see docs/warehouse.md.
-- Where a worker stands (detection_progress, customer_refreshes) is nobody's question here;
-- customer_changes tells `touchline query` whether steps and journeys were ever computed.
--
-- A column that is added is invisible to readers until it is added here.
--
-- The limits are settings of Touchline, written anew with every `touchline migrate --roles`. They
-- hold for each query; the quota counts each user by themselves.

CREATE ROLE IF NOT EXISTS ${role:reader} ${on_cluster};

GRANT ${on_cluster}
    SELECT ON ${database}.schema_migrations,
    ${grant:SELECT(
        topic, topic_id, partition, offset, kafka_at, ingested_at, event_id, schema_version,
        customer_key, identity_keys, channel, action, direction, touchpoint, need, stage_default,
        stage_after, facts, catalog_version, occurred_at, sent_at, promise_due_at, segment,
        language, case_ids, rating_scale, rating_score, sentiment, amount, currency, clock,
        claimed_at
    ):interaction_records},
    SELECT(
        topic, topic_id, partition, offset, kafka_at, ingested_at, event_id, schema_version,
        customer_key, identity_keys, channel, action, direction, touchpoint, need, stage,
        stage_default, stage_after, facts, catalog_version, occurred_at, sent_at, promise_due_at,
        segment, language, case_ids, rating_scale, rating_score, sentiment, amount, currency, clock,
        claimed_at
    ) ON ${database}.interactions,
    ${grant:SELECT:rejections},
    ${grant:SELECT:moment_records},
    ${grant:SELECT:promise_records},
    ${grant:SELECT:step_records},
    ${grant:SELECT:journey_records},
    ${grant:SELECT:customer_changes},
    SELECT ON ${database}.catalog_versions,
    SELECT ON ${database}.catalog_channels,
    SELECT ON ${database}.catalog_needs,
    SELECT ON ${database}.catalog_stages,
    SELECT ON ${database}.catalog_segments,
    SELECT ON ${database}.catalog_touchpoints,
    SELECT ON ${database}.catalog_rules,
    SELECT ON ${database}.catalog_promises,
    SELECT ON ${database}.catalog_outcomes,
    SELECT ON ${database}.current_catalog,
    SELECT ON ${database}.channels,
    SELECT ON ${database}.needs,
    SELECT ON ${database}.stages,
    SELECT ON ${database}.segments,
    SELECT ON ${database}.touchpoints,
    SELECT ON ${database}.rules,
    SELECT ON ${database}.promise_terms,
    SELECT ON ${database}.outcomes,
    SELECT ON ${database}.steps,
    SELECT ON ${database}.filtered_steps,
    SELECT ON ${database}.filtered_journeys,
    SELECT ON ${database}.journeys,
    SELECT ON ${database}.journeys_by_gap,
    SELECT ON ${database}.moments,
    SELECT ON ${database}.moments_before,
    SELECT ON ${database}.filtered_moments,
    SELECT ON ${database}.filtered_promises,
    SELECT ON ${database}.filtered_trust,
    SELECT ON ${database}.filtered_records,
    SELECT ON ${database}.moments_by_day,
    SELECT ON ${database}.moments_by_event,
    SELECT ON ${database}.promises,
    SELECT ON ${database}.promises_before,
    SELECT ON ${database}.promise_keeping,
    SELECT ON ${database}.customers,
    SELECT ON ${database}.customer_strikes,
    SELECT ON ${database}.strikes_at,
    SELECT ON ${database}.strike_pains_at,
    SELECT ON ${database}.trust_balance,
    SELECT ON ${database}.trust_between,
    SELECT ON ${database}.alert_records,
    SELECT ON ${database}.alerts,
    SELECT ON ${database}.alert_moments,
    SELECT ON ${database}.alert_deliveries,
    SELECT ON ${database}.alert_orders
TO ${role:reader}
WITH REPLACE OPTION;

CREATE SETTINGS PROFILE OR REPLACE ${role:reader} ${on_cluster}
SETTINGS
    readonly = 1,
    max_execution_time = ${setting:reader_seconds},
    max_memory_usage = ${setting:reader_memory_bytes},
    max_result_rows = ${setting:reader_result_rows},
    result_overflow_mode = 'throw'
TO ${role:reader};

CREATE QUOTA OR REPLACE ${role:reader} ${on_cluster}
KEYED BY user_name
FOR INTERVAL 1 hour MAX queries = ${setting:reader_queries_per_hour}
TO ${role:reader};
