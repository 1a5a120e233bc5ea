/* Lines of a history, one by one: what the format allows, and the sentence for what it does not. */
#include "jepsen/check/history.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

static struct history h;

/* Take one line; '...' stands for the fields of an operation that are always the same. */
static int take(const char *model, const char *text)
{
    static char line[4096];
    const char *dots = strstr(text, "...");
    history_close(&h);
    history_init(&h, model);
    if (dots == NULL) return history_line(&h, slice_of(text));
    (void)snprintf(line, sizeof line, "%.*s\"id\":7,\"client\":\"a\",\"key\":\"k\",\"call\":5%s",
                   (int)(dots - text), text, dots + 3);
    return history_line(&h, slice_of(line));
}

static void assert_taken(const char *model, const char *text)
{
    int rv = take(model, text);
    if (rv != HF_OK) print_error("%s: %s\n", text, h.complaint);
    assert_int_equal(rv, HF_OK);
    assert_int_equal(h.count, 1);
}

/* Refused with a sentence that has these words. */
static void assert_refused(const char *model, const char *text, const char *words)
{
    assert_int_equal(take(model, text), HF_EBADREQUEST);
    if (strstr(h.complaint, words) == NULL) print_error("%s: %s\n", text, h.complaint);
    assert_non_null(strstr(h.complaint, words));
    assert_non_null(strstr(h.complaint, "line 1: "));
}

#define V1      "{\"v\":1,...,"
#define V2      "{\"v\":2,...,"
#define OK      "\"ret\":9,\"outcome\":\"ok\""
#define GRANTED OK ",\"result\":{\"token\":7}"
#define PERMITS(permits, limit)                                                            \
    "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5,\"mode\":\"permits\",\"permits\":" #permits \
    ",\"limit\":" #limit "},"
#define NAMES(names) "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5,\"names\":" names "},"
#define DEADLOCK(cycle)                                                                            \
    "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5}," FAIL("deadlock") ",\"result\":{\"cycle\":" cycle \
                                                                   ",\"cut\":1}}"
#define FAIL(error) "\"ret\":9,\"outcome\":\"fail\",\"error\":\"" error "\""

/* Each operation of each model, as the tables of the format have them. */
static void test_every_operation_is_taken(void **state)
{
    (void)state;
    assert_taken("lock",
                 V1 "\"op\":\"acquire\",\"args\":{\"ttl_ms\":50}," OK ",\"result\":{\"token\":7}}");
    assert_int_equal(h.operations[0].token, 7);
    assert_int_equal(h.operations[0].ttl_ms, 50);
    assert_int_equal(h.operations[0].owner, h.operations[0].client);
    assert_taken("lock", V1 "\"op\":\"acquire\",\"args\":{\"ttl_ms\":50},\"outcome\":\"unknown\"}");
    assert_true(h.operations[0].return_ns == OPERATION_NEVER);
    assert_taken("lock", V1 "\"op\":\"acquire\",\"args\":{\"ttl_ms\":50}," FAIL("busy") "}");
    assert_taken("lock",
                 V2 "\"model\":\"lock\",\"op\":\"acquire\",\"args\":{\"ttl_ms\":5,\"owner\":"
                    "\"1/2\",\"mode\":\"shared\",\"reentrant\":1}," OK
                    ",\"result\":{\"token\":7,\"count\":2,\"ttl_ms\":4}}");
    assert_true(h.operations[0].mode == HELD_SHARED && h.operations[0].reentrant);
    assert_int_equal(h.operations[0].ttl_ms, 4);
    assert_taken("lock", V2 PERMITS(3, 4) GRANTED "}");
    assert_int_equal(h.operations[0].mode, HELD_PERMITS);
    assert_int_equal(h.operations[0].permits, 3);
    assert_int_equal(h.operations[0].limit, 4);
    assert_taken("lock", V2 DEADLOCK("[\"a\",\"b\",\"c\"]"));
    assert_int_equal(h.operations[0].cycle_count, 3);
    assert_true(h.operations[0].cycle_is_cut);
    assert_string_equal(strings_text(&h.strings, h.cycles[h.operations[0].cycle_at + 2]), "c");
    assert_taken("lock", V2 "\"op\":\"downgrade\",\"args\":{\"token\":7}," OK "}");
    assert_taken("lock",
                 V2 "\"op\":\"upgrade\",\"args\":{\"token\":7,\"owner\":\"o\"}," FAIL("busy") "}");
    assert_taken("lock", V1 "\"op\":\"release\",\"args\":{\"token\":7}," FAIL("not_held") "}");
    assert_taken("lock", V2 "\"op\":\"release\",\"args\":{\"owner\":\"1/2\"}," OK "}");
    assert_taken("lock", V1 "\"op\":\"query\"," OK ",\"result\":{\"held\":false}}");
    assert_taken("lock", V2 "\"op\":\"check\",\"args\":{\"token\":7}," OK
                            ",\"result\":{\"status\":\"stale\"}}");
    assert_taken("idem",
                 V2 "\"op\":\"reopen\",\"args\":{\"token\":9,\"outcome\":\"failed\"}," OK "}");
    assert_int_equal(h.operations[0].end, END_AS_FAILED);
    assert_taken("idem", V2 "\"op\":\"reopen\",\"args\":{\"token\":9,\"outcome\":\"done\"}," FAIL(
                             "bad_state") "}");
    assert_taken("idem", V2 "\"op\":\"begin\",\"args\":{\"ttl_ms\":5,\"fingerprint\":\"f\","
                            "\"takeover\":\"never\",\"retain_ms\":60000}," OK
                            ",\"result\":{\"status\":\"takeover\",\"token\":9,\"attempt\":2}}");
    assert_int_equal(h.operations[0].policy, POLICY_NEVER);
    assert_taken("idem",
                 V1 "\"op\":\"complete\",\"args\":{\"token\":9,\"response\":\"r\"}," OK "}");
    assert_taken("idem",
                 V2 "\"op\":\"complete\",\"args\":{\"token\":9,\"outcome\":\"retryable\"}," OK "}");
    assert_taken("idem",
                 V2 "\"op\":\"checkpoint\",\"args\":{\"token\":9,\"number\":1,\"mark\":2}," OK "}");
    assert_int_equal(h.operations[0].mark, 2);
    assert_taken("idem", V2 "\"op\":\"resolve\",\"args\":{\"token\":9,\"outcome\":\"failed\","
                            "\"response\":\"failed 1 -\"}," FAIL("not_found") "}");
    assert_taken("idem", V1 "\"op\":\"get\"," OK ",\"result\":{\"status\":\"none\"}}");
    assert_taken("fencedreg", V1 "\"op\":\"read\"," OK ",\"result\":{\"value\":null}}");
    assert_taken("fencedreg", V1 "\"op\":\"write\",\"args\":{\"token\":1,\"value\":\"\"}," OK "}");
}

/* What is no operation of this model, or shows nothing, is counted and no more. */
static void test_several_names_are_an_operation_each(void **state)
{
    (void)state;
    assert_int_equal(take("lock", V2 NAMES("[\"k\",\"l\",\"m\"]") GRANTED "}"), HF_OK);
    assert_int_equal(h.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(h.operations[i].token, 7);
        assert_int_equal(h.operations[i].line, 1);
    }
    assert_string_equal(strings_text(&h.strings, h.operations[2].key), "m");
    assert_int_equal(history_finish(&h), HF_OK); /* one id, of one line */
    assert_int_equal(take("lock", V2 NAMES("[\"k\",\"l\"]") FAIL("busy") "}"), HF_OK);
    assert_int_equal(h.count, 0); /* it does not say which */
    assert_int_equal(h.dropped, 1);
}

static void test_other_lines_are_skipped(void **state)
{
    (void)state;
    assert_int_equal(take("lock", "{\"v\":1,\"type\":\"nemesis\",\"at\":9}"), HF_OK);
    assert_int_equal(take("lock", "{\"v\":2,\"type\":\"note\",\"anything\":[]}"), HF_OK);
    assert_int_equal(take("lock", "{\"v\":2,\"model\":\"idem\",\"op\":\"begin\"}"), HF_OK);
    assert_int_equal(h.others, 1);
    assert_int_equal(
        take("lock", V1 "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5}," FAIL("refused") "}"), HF_OK);
    assert_int_equal(h.dropped, 1);
    assert_int_equal(h.count, 0);
}

static void test_the_header_says_how_wrong_clocks_are(void **state)
{
    (void)state;
    const char *header =
        "{\"v\":2,\"type\":\"header\",\"drift_ppm\":10000,\"margin_ms\":1,\"seed\":7}";
    assert_int_equal(take("lock", header), HF_OK);
    assert_int_equal(history_until(&h.clock, 5000000, 100), 5000000 + 99000000 - 1000000);
    assert_int_equal(history_line(&h, slice_of(header)), HF_EBADREQUEST);
    assert_refused("lock", "{\"v\":2,\"type\":\"header\",\"drift_ppm\":1000000}", "drift_ppm");
}

struct refusal {
    const char *model;
    const char *line;
    const char *words;
};

static const struct refusal refusals[] = {
    {"lock", "", "not JSON"},
    {"lock", "{\"v\":1", "not JSON"},
    {"lock", "[1]", "not a JSON object"},
    {"lock", "{\"v\":1,\"v\":1}", "not JSON: duplicate"},
    {"lock", "{\"v\":1} {}", "not JSON"},
    {"lock", "{\"v\":\"1\"}", "\"v\" is not an integer"},
    {"lock", "{\"v\":3}", "\"v\" is 3"},
    {"lock", "{\"v\":1,\"type\":\"odd\"}", "none of its words"},
    {"lock", "{\"v\":1}", "\"op\" is needed"},
    {"lock", V1 "\"op\":\"begin\"," OK "}", "no operation of the model lock"},
    {"lock", V1 "\"op\":\"check\",\"args\":{\"token\":1}," OK "}", "no operation"},
    {"lock", V1 "\"op\":\"query\"," OK "}", "\"result\" needs \"held\""},
    {"lock", V1 "\"op\":\"query\",\"odd\":1," OK "}", "\"odd\" is no field"},
    {"lock", V1 "\"op\":\"query\",\"ret\":4,\"outcome\":\"ok\"}", "\"ret\" is 4"},
    {"lock", V1 "\"op\":\"query\",\"ret\":9.5,\"outcome\":\"ok\"}", "not an integer"},
    {"lock", V1 "\"op\":\"query\",\"outcome\":\"ok\"}", "\"ret\" is null if"},
    {"lock", V1 "\"op\":\"query\",\"ret\":9,\"outcome\":\"unknown\"}", "\"ret\" is null if"},
    {"lock", V1 "\"op\":\"query\",\"ret\":9,\"outcome\":\"good\"}", "none of its words"},
    {"lock", V1 "\"op\":\"query\",\"error\":\"busy\"," OK "}", "belongs to a fail"},
    {"lock", V1 "\"op\":\"query\",\"ret\":9,\"outcome\":\"fail\"}", "needs \"error\""},
    {"lock", V1 "\"op\":\"query\"," FAIL("busy") "}", "no error of this operation"},
    {"lock", V1 "\"op\":\"acquire\",\"args\":{}," OK "}", "\"args\" needs \"ttl_ms\""},
    {"lock", V1 "\"op\":\"acquire\",\"args\":{\"ttl_ms\":-1}," OK "}", "\"ttl_ms\" is -1"},
    {"lock", V1 "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5,\"mode\":\"shared\"}," OK "}",
     "no field"},
    {"lock", V2 "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5,\"permits\":1}," GRANTED "}",
     "mode \"permits\", and it alone"},
    {"lock", V2 "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5,\"mode\":\"permits\"}," GRANTED "}",
     "mode \"permits\", and it alone"},
    {"lock", V2 PERMITS(4, 3) GRANTED "}", "which is not less"},
    {"lock", V2 PERMITS(0, 3) GRANTED "}", "\"permits\" is 0"},
    {"lock", V2 PERMITS(1, 1000001) GRANTED "}", "\"limit\" is 1000001"},
    {"lock", V2 NAMES("[\"k\"]") GRANTED "}", "not an array of 2 to 32 names"},
    {"lock", V2 NAMES("\"k\"") GRANTED "}", "not an array of 2 to 32 names"},
    {"lock", V2 NAMES("[\"k\",\"\"]") GRANTED "}", "\"names\" has 0 bytes"},
    {"lock", V2 NAMES("[\"k\",3]") GRANTED "}", "\"names\" is not a string"},
    {"lock", V2 NAMES("[\"k\",\"l\",\"k\"]") GRANTED "}", "\"names\" has one twice"},
    {"lock", V2 NAMES("[\"l\",\"k\"]") GRANTED "}", "not the first of"},
    {"lock", V2 DEADLOCK("[\"a\"]"), "\"cycle\" is not an array of 2 to 32 names"},
    {"lock", V2 DEADLOCK("[\"a\",\"a\"]"), "\"cycle\" has one twice"},
    {"lock",
     V2 "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5}," FAIL("busy") ",\"result\":{\"cycle\":[\"a\","
                                                                   "\"b\"]}}",
     "\"cycle\" belongs to a deadlock"},
    {"lock", V2 "\"op\":\"downgrade\",\"args\":{\"token\":1}," FAIL("busy") "}", "no error of"},
    {"lock", V1 "\"op\":\"acquire\",\"args\":[]," OK "}", "\"args\" is not an object"},
    {"lock", V1 "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5}," OK ",\"result\":{\"token\":0}}",
     "\"token\" is 0"},
    {"lock", V1 "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5},\"outcome\":\"unknown\",\"result\":{}}",
     "has no \"result\""},
    {"lock", V1 "\"op\":\"release\"," OK "}", "needs \"token\""},
    {"lock", V2 "\"op\":\"release\",\"args\":{\"all\":1}," OK "}", "needs \"token\""},
    {"lock", V1 "\"model\":\"lock\",\"op\":\"query\"," OK "}", "\"model\" is no field"},
    {"lock", V2 "\"model\":\"odd\",\"op\":\"query\"," OK "}", "none of its words"},
    {"idem", V1 "\"op\":\"get\"," OK ",\"result\":{\"status\":\"expired\"}}", "version 2"},
    {"idem", V1 "\"op\":\"complete\",\"args\":{\"token\":1}," OK "}", "\"response\" is needed"},
    {"idem", V2 "\"op\":\"reopen\",\"args\":{\"token\":9}," OK "}", "needs \"outcome\""},
    {"idem",
     V1 "\"op\":\"begin\",\"args\":{\"ttl_ms\":5,\"fingerprint\":\"f\"}," OK
        ",\"result\":{\"status\":\"started\"}}",
     "\"token\" belongs to started"},
    {"idem",
     V1 "\"op\":\"begin\",\"args\":{\"ttl_ms\":5,\"fingerprint\":\"f\"}," OK
        ",\"result\":{\"status\":\"completed\"}}",
     "\"response\" belongs to completed"},
    {"fencedreg", V1 "\"op\":\"read\"," OK ",\"result\":{\"value\":5}}", "not a string"},
};

static void test_what_breaks_the_format_is_refused_with_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < HF_ARRAY_COUNT(refusals); i++)
        assert_refused(refusals[i].model, refusals[i].line, refusals[i].words);
}

static void test_an_id_is_used_once(void **state)
{
    (void)state;
    const char *line = "{\"v\":1,\"id\":7,\"client\":\"a\",\"key\":\"k\",\"call\":5,\"ret\":9,"
                       "\"outcome\":\"ok\",\"op\":\"query\",\"result\":{\"held\":false}}";
    assert_int_equal(take("lock", line), HF_OK);
    assert_int_equal(history_line(&h, slice_of(line)), HF_OK);
    assert_int_equal(history_finish(&h), HF_EBADREQUEST);
    assert_string_equal(h.complaint, "line 2: the id 7 was used in line 1 already");
}

static void test_a_line_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static char line[HISTORY_LINE_BYTES_MAX + 1];
    memset(line, ' ', sizeof line);
    history_close(&h);
    history_init(&h, "lock");
    assert_int_equal(history_line(&h, slice_make(line, sizeof line)), HF_ETOOLARGE);
    assert_non_null(strstr(h.complaint, "longer than"));
}

static int close_history(void **state)
{
    (void)state;
    history_close(&h);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operation_is_taken),
        cmocka_unit_test(test_several_names_are_an_operation_each),
        cmocka_unit_test(test_other_lines_are_skipped),
        cmocka_unit_test(test_the_header_says_how_wrong_clocks_are),
        cmocka_unit_test(test_what_breaks_the_format_is_refused_with_a_sentence),
        cmocka_unit_test(test_an_id_is_used_once),
        cmocka_unit_test(test_a_line_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, close_history);
}
