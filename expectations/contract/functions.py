"""The functions that a `transformLogic` may use, by what they work on.

What does NOT belong here: checking an expression (`transform`).

DuckDB's own marks of purity do not decide: `json_serialize_plan` and `current_localtimestamp` are
called consistent, and the one reads files, the other the clock. A function is listed here because
somebody has looked at it: its value follows from its arguments alone, today and in later versions
of DuckDB, and it is not much larger than they are. docs/contracts.md shows this list.

Left out for that: `hash` (other values in other versions), `format`, `printf`, `bar`, `range`,
`generate_series`, `list_resize` (a small argument makes a result of any size), `list_aggregate`
(takes any aggregate by its name).
"""

from __future__ import annotations

_OPERATORS = "+ - * / // % ** ^ @ & | ~ << >> || ^@ ~~ !~~ ~~* !~~* ~~~ ->> && @> <@ !__postfix"

_TEXT = """
    array_to_string ascii bit_length char_length character_length chr concat concat_ws contains
    damerau_levenshtein editdist3 ends_with hamming ilike_escape instr jaccard jaro_similarity
    jaro_winkler_similarity lcase left left_grapheme len length length_grapheme levenshtein
    like_escape lower lpad ltrim mismatches nfc_normalize not_ilike_escape not_like_escape
    octet_length ord parse_dirname parse_dirpath parse_filename parse_path position prefix repeat
    replace reverse right right_grapheme rpad rtrim split split_part starts_with str_split
    string_split string_to_array strip_accents strlen strpos substr substring substring_grapheme
    suffix translate trim ucase unicode upper url_decode url_encode
"""
_REGULAR_EXPRESSIONS = """
    regexp_escape regexp_extract regexp_extract_all regexp_full_match regexp_matches regexp_replace
    regexp_split_to_array str_split_regex string_split_regex
"""
_NUMBERS = """
    abs acos add asin atan atan2 bin bit_count cbrt ceil ceiling cos cot degrees divide even exp
    factorial fdiv floor fmod gcd greatest greatest_common_divisor isfinite isinf isnan lcm least
    least_common_multiple ln log log10 log2 mod multiply pi pow power radians round round_even
    roundbankers sign signbit sin sqrt subtract tan trunc xor
"""
_DATES_AND_TIMES = """
    age century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc
    day dayname dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us
    era hour isodow isoyear julian last_day make_date make_time make_timestamp make_timestamp_ms
    make_timestamp_ns make_timestamptz microsecond millennium millisecond minute month monthname
    nanosecond quarter second strftime strptime time_bucket timezone timezone_hour timezone_minute
    to_centuries to_days to_decades to_hours to_microseconds to_millennia to_milliseconds to_minutes
    to_months to_quarters to_seconds to_timestamp to_weeks to_years try_strptime
    uuid_extract_timestamp uuid_extract_version week weekday weekofyear year yearweek
"""
_JSON = """
    array_to_json from_json from_json_strict json json_array json_array_length json_contains
    json_exists json_extract json_extract_path json_extract_path_text json_extract_string json_keys
    json_merge_patch json_object json_pretty json_quote json_structure json_transform
    json_transform_strict json_type json_valid json_value row_to_json to_json
"""
_LAMBDAS = """
    apply array_apply array_filter array_reduce array_transform filter list_apply list_filter
    list_reduce list_transform reduce
"""
_LISTS = """
    array_cat array_concat array_contains array_distinct array_extract array_has array_has_all
    array_has_any array_indexof array_intersect array_length array_position array_reverse_sort
    array_select array_slice array_sort array_unique array_value array_where array_zip flatten
    list_avg list_cat list_concat list_contains list_count list_distinct list_element list_extract
    list_has list_has_all list_has_any list_indexof list_intersect list_max list_min list_pack
    list_position list_reverse_sort list_select list_slice list_sort list_sum list_unique list_value
    list_where list_zip
"""
_STRUCTS_AND_MAPS = """
    cardinality element_at map map_concat map_contains map_contains_entry map_contains_value
    map_entries map_extract map_extract_value map_from_entries map_keys map_values row struct_concat
    struct_contains struct_extract struct_extract_at struct_has struct_indexof struct_insert
    struct_keys struct_pack struct_position struct_update struct_values
"""
_CONDITIONS = "nullif typeof"
_CODES_AND_HASHES = """
    base64 decode encode from_base64 from_binary from_hex hex md5 md5_number md5_number_lower
    md5_number_upper sha1 sha256 to_base64 to_binary to_hex unbin unhex
"""

#: Functions whose second argument is a lambda.
LAMBDAS = frozenset(_LAMBDAS.split())
#: By the headings under which docs/contracts.md shows them.
FUNCTIONS: dict[str, frozenset[str]] = {
    "text": frozenset(_TEXT.split()),
    "regular expressions": frozenset(_REGULAR_EXPRESSIONS.split()),
    "numbers": frozenset(_NUMBERS.split()),
    "dates and times": frozenset(_DATES_AND_TIMES.split()),
    "JSON": frozenset(_JSON.split()),
    "lists": LAMBDAS | frozenset(_LISTS.split()),
    "structs and maps": frozenset(_STRUCTS_AND_MAPS.split()),
    "conditions": frozenset(_CONDITIONS.split()),
    "codes and hashes": frozenset(_CODES_AND_HASHES.split()),
}
ALLOWED = frozenset(_OPERATORS.split()).union(*FUNCTIONS.values())
#: Functions that make text as long as they are told: by their second argument.
SIZED = frozenset({"lpad", "rpad", "repeat"})
