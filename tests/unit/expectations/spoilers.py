"""For every blocking expectation, data that it alone must stop: suite -> expectation -> SQL."""

STREAM = "behaviour.customer_stream"
ORDERS = "behaviour.fct_orders"
SESSIONS = "behaviour.sessions"
DAYS = "behaviour.customer_days"
IDS = "behaviour.customer_id_map"
FEATURES = "marts.ml_features"
LABELS = "marts.ml_labels"
SCORES = "ml.churn_scores"
CLUSTERS = "ml.behaviour_clusters"
EVALUATION = "ml.churn_evaluation"
ONE = "where rowid = (select min(rowid) from {})"

SPOILERS: dict[str, dict[str, str]] = {
    "raw.orders[pos]": {
        "rows": "delete from raw.orders where _source = 'pos'",
        "columns_and_types": "alter table raw.orders alter revenue type double",
        "identity_is_tokens": "update raw.orders set customer_id = '4711' where order_id = 'o15'",
        "no_clear_email": 'update raw.orders set attributes = \'{"note": "li@example.org"}\' '
        "where order_id = 'o15'",
        "order_id_required": "update raw.orders set order_id = null where order_id = 'o15'",
        "order_id_form": "update raw.orders set order_id = 'x' where order_id = 'o15'",
        "ordered_at_required": "update raw.orders set ordered_at = null where order_id = 'o15'",
        "ordered_at_range": "update raw.orders set ordered_at = '1970-01-01' "
        "where order_id = 'o15'",
        "channel_allowed": "update raw.orders set channel = 'fax' where order_id = 'o15'",
        "revenue_range": "update raw.orders set revenue = 99999 where order_id = 'o15'",
    },
    "raw.tickets[helpdesk]": {
        "rows": "delete from raw.tickets",
        "columns_and_types": "alter table raw.tickets alter status type json",
        "identity_is_tokens": "update raw.tickets set customer_id = 'tok_v1_short'",
        "no_clear_email": "update raw.tickets set body = 'write to li@example.org, please'",
        "no_clear_mobile": "update raw.tickets set body = 'call 13800138000, please'",
        "ticket_id_required": "update raw.tickets set ticket_id = null where ticket_id = 'to15'",
        "opened_at_required": "update raw.tickets set opened_at = null where ticket_id = 'to15'",
    },
    STREAM: {
        "rows": f"delete from {STREAM}",
        "mostly_with_customer": f"update {STREAM} set customer = null where source = 'web'",
        "ts_plausible": f"update {STREAM} set ts = '1970-01-01' where activity_id = 'e7'",
        "ts_not_after_known": f"update {STREAM} set known_at = ts - to_days(2)",
        "has_purchases": f"update {STREAM} set activity = 'order_updated' where source = 'pos'",
        "revenue_is_positive": f"update {STREAM} set revenue_impact = -revenue_impact",
        "no_activity_owns_the_revenue": f"update {STREAM} set revenue_impact = 10000000 "
        "where activity_id = 'o15'",
        "events_arrived": "delete from raw.events where original_timestamp < '2024-01-31'",
    },
    ORDERS: {
        "rows": f"delete from {ORDERS}",
        "orders_arrived": "delete from raw.orders where ordered_at < '2024-01-31'",
        "mostly_purchases": f"update {ORDERS} set is_purchase = false",
        "purchases_bring_money": f"update {ORDERS} set revenue = 0 where order_id = 'o15'",
        "no_order_owns_the_revenue": f"update {ORDERS} set revenue = 10000000 "
        "where order_id = 'o15'",
        "mostly_with_customer": f"update {ORDERS} set customer = null",
        "ordered_at_plausible": f"update {ORDERS} set ordered_at = '1900-01-01' "
        "where order_id = 'o15'",
        "units_plausible": f"update {ORDERS} set units = 20000",
    },
    SESSIONS: {
        "rows": f"delete from {SESSIONS}",
        "events_per_session": f"update {SESSIONS} set events = 0, page_views = 0",
        "not_longer_than_the_cap": f"update {SESSIONS} set absolute_seconds = 300000 "
        + ONE.format(SESSIONS),
        "views_within_events": f"update {SESSIONS} set page_views = events + 1 "
        + ONE.format(SESSIONS),
        "not_one_customer": f"update {SESSIONS} set customer = 'c_0' where customer < 'c_15'",
        "within_the_stream": f"update {SESSIONS} set events = 3",
    },
    DAYS: {
        "rows": f"delete from {DAYS}",
        "day_plausible": f"update {DAYS} set day = '1970-01-01' " + ONE.format(DAYS),
        "no_long_holes": f"update {DAYS} set day = day + 20 "
        "where day between '2024-01-10' and '2024-01-19'",
        "revenue_as_in_orders": f"update {DAYS} set revenue = revenue * 2",
        "days_as_in_stream": f"insert into {DAYS} select * replace (null as revenue) "
        f"from {DAYS} limit 1000",
    },
    IDS: {
        "rows": f"delete from {IDS}",
        "no_mega_person": f"update {IDS} set customer = 'c_0' where customer < 'c_13'",
        "someone_is_known": f"update {IDS} set is_known = false",
        "ids_are_tokens": f"update {IDS} set id_value = 'li@example.org' " + ONE.format(IDS),
    },
    FEATURES: {
        "rows": f"delete from {FEATURES}",
        "finite": f"update {FEATURES} set sd_gap_days = 'nan'::double where customer = 'c_7'",
        "rows_on_the_newest_day": "insert into marts.ml_cutoffs values ('2024-03-31', 'score')",
        "recency_in_the_eligible_year": f"update {FEATURES} set recency_days = 400, "
        "tenure_days = t_x_days + 400 where customer = 'c_40'",
        "frequency_not_negative": f"update {FEATURES} set frequency = -1 where customer = 'c_7'",
        "first_before_last_before_as_of": f"update {FEATURES} set tenure_days = tenure_days + 1 "
        "where customer = 'c_7'",
        "windows_are_nested": f"update {FEATURES} set purchase_days_84d = 5 where customer = 'c_7'",
        "purchase_within_recency": f"update {FEATURES} set purchase_days_28d = 1 "
        "where customer = 'c_40'",
        "core_not_constant": f"update {FEATURES} set recency_days = 40, t_x_days = 0, "
        "tenure_days = 40, purchase_days_28d = 0",
        "monetary_not_negative": f"update {FEATURES} set monetary = -5 where customer = 'c_7'",
    },
    LABELS: {
        "rows": f"delete from {LABELS}",
        "churned_means_no_order": f"update {LABELS} set churned = not churned "
        "where customer = 'c_7'",
        "window_is_over": f"update {LABELS} set horizon_days = 40 where customer = 'c_7'",
    },
    SCORES: {
        "rows": f"delete from {SCORES}",
        "score_is_a_probability": f"update {SCORES} set score = 1.5 where rank = 1",
        "score_finite": f"update {SCORES} set score = null where rank = 1",
        "scores_vary": f"update {SCORES} set score = 0.5",
        "customers_have_features": f"insert into {SCORES} values ('c_x', '2024-02-29', 0, 201)",
        "everyone_is_scored": f"delete from {SCORES} where rank = 200",
        "rank_follows_score": f"update {SCORES} set rank = 201 - rank",
    },
    CLUSTERS: {
        "rows": f"delete from {CLUSTERS}",
        "number_of_clusters": f"update {CLUSTERS} set cluster = substr(customer, 3)::int, "
        "label = substr(customer, 3)",
        "one_label_each": f"update {CLUSTERS} set label = 'regular' where cluster = 1",
        "distance_plausible": f"update {CLUSTERS} set distance = -1 where customer = 'c_7'",
        "customers_have_features": f"update {CLUSTERS} set customer = 'c_x' where customer = 'c_7'",
    },
    EVALUATION: {
        "rows": f"delete from {EVALUATION}",
        "metrics_in_range": f"update {EVALUATION} set value = 1.5 where metric = 'auc'",
        "intervals_in_order": f"update {EVALUATION} set low = 0.9, high = 0.1",
    },
}
