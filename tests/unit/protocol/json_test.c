/* JSON from outside: exact texts for what people see, and a reader of RFC 8259's grammar over
 * random messages, whose text is full of quotes, backslashes and control characters.
 */
#include <stdlib.h>

#include "base/status.h"
#include "protocol/messages.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/protocol/sample.h"

static void assert_json(const struct codec_type *type, const void *in, const char *expected)
{
    struct buffer out;
    buffer_init(&out, SAMPLE_BYTES_MAX);
    assert_int_equal(codec_json(type, in, &out), HF_OK);
    assert_int_equal(buffer_append(&out, "", 1), HF_OK);
    assert_string_equal((const char *)out.data, expected);
    buffer_close(&out);
}

/* A token is a string although this one is small: a reader must not meet both. */
static void test_what_may_pass_2_to_the_53_is_a_string(void **state)
{
    (void)state;
    struct msg_granted granted = {.fencing_token = 7, .waited = 1, .count = 2};
    assert_json(&msg_granted_type, &granted, "{\"fencing_token\":\"7\",\"waited\":1,\"count\":2}");
    struct msg_check check = {.name = slice_of("n"), .fencing_token = TOKEN_END - 1};
    assert_json(&msg_check_type, &check,
                "{\"name\":\"n\",\"fencing_token\":\"9223372036854775807\"}");
    uint64_t tokens[] = {1, UINT64_MAX};
    struct msg_keep keep = {.losses_acked = {tokens, 2}};
    assert_json(&msg_keep_type, &keep, "{\"losses_acked\":[\"1\",\"18446744073709551615\"]}");
    struct msg_delayed delayed = {.left_ms = TIME_MS_MAX};
    assert_json(&msg_delayed_type, &delayed, "{\"left_ms\":9007199254740992}");
}

/* RFC 8259, section 7: what must be escaped is, and nothing else. */
static void test_text_is_escaped(void **state)
{
    (void)state;
    struct msg_info info = {.name = slice_of("\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9")};
    assert_json(&msg_info_type, &info,
                "{\"name\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\"}");
}

/* RFC 4648, section 10's vectors behind a byte that is no text; text stays text. */
static void test_bytes_are_text_or_base64(void **state)
{
    (void)state;
    struct msg_open open = {.ttl_ms = 500,
                            .secret = slice_of("\xff"
                                               "f"),
                            .meta = slice_of("{}")};
    assert_json(&msg_open_type, &open,
                "{\"secret\":{\"base64\":\"/2Y=\"},\"ttl_ms\":500,\"name\":\"\",\"meta\":\"{}\"}");
    open.secret = slice_of("\xff");
    open.meta = slice_make("a\0b", 3);
    assert_json(&msg_open_type, &open,
                "{\"secret\":{\"base64\":\"/w==\"},\"ttl_ms\":500,\"name\":\"\","
                "\"meta\":{\"base64\":\"YQBi\"}}");
}

/* A status is the contract's word; lists and rows nest. */
static void test_statuses_lists_and_rows_have_their_form(void **state)
{
    (void)state;
    struct msg_cancel_reply reply = {.status = HF_EBUSY, .op = OP_CODE_ACQUIRE};
    assert_json(&msg_cancel_reply_type, &reply,
                "{\"status\":\"BUSY\",\"op\":20,\"stands\":0,\"body\":\"\"}");
    reply.status = -999;
    assert_json(&msg_cancel_reply_type, &reply,
                "{\"status\":-999,\"op\":20,\"stands\":0,\"body\":\"\"}");
    struct slice names[] = {slice_of("a"), slice_of("b")};
    struct msg_already already = {.fencing_token = 1, .names = {names, 2}};
    assert_json(&msg_already_type, &already,
                "{\"fencing_token\":\"1\",\"mode\":0,\"permits\":0,\"names\":[\"a\",\"b\"]}");
    struct lost_item lost[] = {{1, END_EXPIRED, 10}, {2, END_FORCED, 20}};
    struct msg_keep_reply keep = {.ttl_ms = 500, .lost = {lost, 2}};
    assert_json(&msg_keep_reply_type, &keep,
                "{\"ttl_ms\":500,\"lost\":[{\"fencing_token\":\"1\",\"reason\":2,\"at_ms\":10},"
                "{\"fencing_token\":\"2\",\"reason\":6,\"at_ms\":20}],\"more\":0,\"asked\":[],"
                "\"holds\":[]}");
    struct sample_row row = {.number = 3, .text = slice_of("t")};
    assert_json(&sample_row_type, &row,
                "{\"row_version\":300,\"number\":\"3\",\"status\":\"OK\",\"text\":\"t\","
                "\"bytes\":\"\",\"numbers\":[],\"texts\":[],\"items\":[]}");
    struct msg_empty empty = {0};
    assert_json(&msg_empty_type, &empty, "{}");
}

/* ------------------------------------------------------------------ a reader */

static const char *skip_value(const char *p);

/* Behind the string at p, or NULL. */
static const char *skip_string(const char *p)
{
    if (*p++ != '"') return NULL;
    while (*p != '"') {
        if ((unsigned char)*p < 0x20) return NULL;
        if (*p++ != '\\') continue;
        if (*p == 'u') {
            if (strspn(p + 1, "0123456789abcdef") < 4) return NULL;
            p += 5;
        } else {
            if (*p == 0 || strchr("\"\\/bfnrt", *p) == NULL) return NULL;
            p += 1;
        }
    }
    return p + 1;
}

/* Behind the members of an object or array whose opening is at p, or NULL. */
static const char *skip_members(const char *p, char close, bool named)
{
    p += 1;
    if (*p == close) return p + 1;
    for (;;) {
        if (named) {
            p = skip_string(p);
            if (p == NULL || *p++ != ':') return NULL;
        }
        p = skip_value(p);
        if (p == NULL) return NULL;
        if (*p == close) return p + 1;
        if (*p++ != ',') return NULL;
    }
}

static const char *skip_value(const char *p)
{
    if (*p == '{') return skip_members(p, '}', true);
    if (*p == '[') return skip_members(p, ']', false);
    if (*p == '"') return skip_string(p);
    if (*p == '-') p += 1;
    size_t digits = strspn(p, "0123456789");
    return digits > 0 ? p + digits : NULL;
}

/* Every message is one JSON value, to its last byte. */
static void test_every_message_is_json(void **state)
{
    (void)state;
    struct prng prng;
    struct arena arena;
    struct buffer out;
    prng_seed(&prng, 20260105);
    assert_int_equal(arena_init(&arena, SAMPLE_ARENA_BYTES), HF_OK);
    buffer_init(&out, 4 * SAMPLE_BYTES_MAX);
    for (size_t t = 0; sample_types[t] != NULL; t++) {
        for (int round = 0; round < 20; round++) {
            union sample in;
            arena_reset(&arena);
            buffer_clear(&out);
            sample_random(&prng, sample_types[t], &arena, &in);
            assert_int_equal(codec_json(sample_types[t], &in, &out), HF_OK);
            assert_int_equal(buffer_append(&out, "", 1), HF_OK);
            const char *end = skip_value((const char *)out.data);
            assert_ptr_equal(end, out.data + out.size - 1);
        }
    }
    buffer_close(&out);
    arena_close(&arena);
}

/* Whatever the buffer's maximum: the object is appended whole, or not at all. */
static void test_json_is_whole_or_not_at_all(void **state)
{
    (void)state;
    struct msg_granted granted = {.fencing_token = 7, .waited = 1, .count = 2};
    for (size_t room = 1; room < 47; room++) {
        struct buffer out;
        buffer_init(&out, room);
        assert_int_equal(codec_json(&msg_granted_type, &granted, &out),
                         room < 42 ? HF_ETOOLARGE : HF_OK);
        assert_int_equal(out.size, room < 42 ? 0 : 42);
        buffer_close(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_may_pass_2_to_the_53_is_a_string),
        cmocka_unit_test(test_text_is_escaped),
        cmocka_unit_test(test_bytes_are_text_or_base64),
        cmocka_unit_test(test_statuses_lists_and_rows_have_their_form),
        cmocka_unit_test(test_every_message_is_json),
        cmocka_unit_test(test_json_is_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
