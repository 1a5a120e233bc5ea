/* The checker against histories of a small simulated service: right ones fit, planted faults are
 * found. With SEEDS=N in the environment: N histories a case instead of the usual number. */
#include "jepsen/check/check.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/jepsen/generate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

enum { LINES_BYTES_MAX = 256 << 20, MEMORY_BYTES = 256 << 20, TAIL = 20 };

static unsigned seeds(unsigned usual)
{
    const char *text = getenv("SEEDS");
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : usual;
}

/* Too many steps for a history of this size: undecided. */
static bool count_down(void *data)
{
    unsigned *left = data;
    return *left == 0 || --*left == 0;
}

static void read_all(struct history *h, const struct buffer *lines)
{
    const char *at = (const char *)lines->data, *end = at + lines->size;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(line_end);
        int rv = history_line(h, slice_make(at, (size_t)(line_end - at)));
        if (rv != HF_OK) print_error("%s\n%.*s\n", h->complaint, (int)(line_end - at), at);
        assert_int_equal(rv, HF_OK);
        at = line_end + 1;
    }
    assert_int_equal(history_finish(h), HF_OK);
}

struct sum {
    size_t operations;
    size_t unknown;
    uint64_t places;
};

static enum search_verdict judge(const struct generate_options *o, const struct buffer *lines,
                                 struct sum *sum)
{
    struct history h;
    struct check_result result;
    struct buffer report;
    unsigned looks = 1 << 14;
    struct search_limits limits = {MEMORY_BYTES, count_down, &looks};
    history_init(&h, o->model);
    buffer_init(&report, CHECK_REPORT_BYTES_MAX);
    read_all(&h, lines);
    sum->operations += h.count;
    check_history(model_find(o->model), &h, &limits, TAIL, &result, &report);
    sum->unknown += result.unknown_count;
    sum->places += result.place_count;
    bool right = o->fault == FAULT_NONE;
    if (result.verdict == SEARCH_UNDECIDED || (right && result.verdict != SEARCH_FITS))
        print_error("seed %" PRIu64 ": %.*s\n", o->seed, (int)report.size,
                    (const char *)report.data);
    buffer_close(&report);
    history_close(&h);
    return result.verdict;
}

/* ------------------------------------------------------------------ right histories */

static void judge_right(struct generate_options o, unsigned count, const char *what)
{
    struct sum sum = {0};
    unsigned wrong = 0;
    for (unsigned seed = 1; seed <= seeds(count); seed++) {
        struct buffer lines;
        buffer_init(&lines, LINES_BYTES_MAX);
        o.seed = seed;
        (void)generate(&o, &lines);
        wrong += judge(&o, &lines, &sum) != SEARCH_FITS;
        buffer_close(&lines);
    }
    print_message("%s: %u histories, %zu operations, %zu unknown, %" PRIu64 " places\n", what,
                  seeds(count), sum.operations, sum.unknown, sum.places);
    assert_int_equal(wrong, 0);
}

/* Exclusive locks of version 1: contention, lost answers, leases that run out. */
static void test_right_plain_locks_fit(void **state)
{
    (void)state;
    struct generate_options o = {
        .model = "lock", .version = 1, .clients = 5, .keys = 2, .operations = 300, .unknown = 5};
    judge_right(o, TEST_SEEDS(200), "plain locks");
}

/* Version 2: shared and exclusive, reentrant, releases that count down, ends without a token. */
static void test_right_locks_fit(void **state)
{
    (void)state;
    struct generate_options o = {.model = "lock",
                                 .version = 2,
                                 .clients = 8,
                                 .keys = 2,
                                 .operations = 400,
                                 .unknown = 5,
                                 .shared = 50};
    judge_right(o, TEST_SEEDS(200), "locks");
    o.shared = 90;
    o.unknown = 15;
    judge_right(o, TEST_SEEDS(60), "locks, many shared and unknown");
}

/* Permits, several names in one grant, upgrade and downgrade. */
static void test_right_grants_of_several_fit(void **state)
{
    (void)state;
    struct generate_options o = {.model = "lock",
                                 .version = 2,
                                 .many = true,
                                 .clients = 8,
                                 .keys = 5,
                                 .operations = 400,
                                 .unknown = 5};
    judge_right(o, TEST_SEEDS(300), "permits, several names, changed modes");
    o.unknown = 15;
    judge_right(o, TEST_SEEDS(60), "likewise, many unknown");
}

/* Records of version 1. */
static void test_right_plain_records_fit(void **state)
{
    (void)state;
    struct generate_options o = {
        .model = "idem", .version = 1, .clients = 5, .keys = 12, .operations = 300, .unknown = 5};
    judge_right(o, TEST_SEEDS(200), "plain records");
}

/* Version 2: marks, policies, takeovers, unknown and its resolution, retention, tombstones. */
static void test_right_records_fit(void **state)
{
    (void)state;
    struct generate_options o = {
        .model = "idem", .version = 2, .clients = 6, .keys = 12, .operations = 400, .unknown = 5};
    judge_right(o, TEST_SEEDS(300), "records");
    o.unknown = 20;
    judge_right(o, TEST_SEEDS(60), "records, many unknown");
}

static void test_right_registers_fit(void **state)
{
    (void)state;
    struct generate_options o = {.model = "fencedreg",
                                 .version = 1,
                                 .clients = 6,
                                 .keys = 2,
                                 .operations = 300,
                                 .unknown = 5};
    judge_right(o, TEST_SEEDS(100), "registers");
}

/* ------------------------------------------------------------------ planted faults */

struct planted {
    enum fault fault;
    const char *name;
    const char *model;
};

static const struct planted faults[] = {
    {FAULT_DOUBLE_GRANT, "double grant", "lock"},
    {FAULT_EARLY_EXPIRY, "early expiry", "lock"},
    {FAULT_TOKEN_REUSE, "token reuse", "lock"},
    {FAULT_STALE_RELEASE, "stale release", "lock"},
    {FAULT_LOST_RELEASE, "lost release", "lock"},
    {FAULT_STALE_RENEW, "stale renew", "lock"},
    {FAULT_LOST_RENEW, "lost renew", "lock"},
    {FAULT_STALE_READ, "stale read", "lock"},
    {FAULT_OVER_LIMIT, "permits over the limit", "lock"},
    {FAULT_PARTIAL, "part of several names", "lock"},
    {FAULT_UPGRADE_BESIDE, "upgrade beside a holder", "lock"},
    {FAULT_UPGRADE_FORGOTTEN, "upgrade forgotten", "lock"},
    {FAULT_RE_EXECUTION, "re-execution", "idem"},
    {FAULT_CHANGED_RESPONSE, "changed response", "idem"},
    {FAULT_DOUBLE_START, "double start", "idem"},
    {FAULT_LOST_COMPLETION, "lost completion", "idem"},
    {FAULT_STALE_COMPLETION, "stale completion", "idem"},
    {FAULT_DONE_REOPENED, "done, and reopened", "idem"},
};

/* A release that is under way just then excuses a fault: seldom, and these seeds are always the
 * same. */
enum { FAULTY_HISTORIES = 30, EXCUSED_MAX = 2 };

static bool needs_version_2(enum fault fault)
{
    return (fault >= FAULT_OVER_LIMIT && fault <= FAULT_UPGRADE_FORGOTTEN) ||
           fault == FAULT_DONE_REOPENED;
}

/* How many of the histories with this fault in them are found out. */
static unsigned hunt(const struct planted *p, int version, struct sum *sum)
{
    bool lock = p->fault < FAULT_RE_EXECUTION, many = lock && needs_version_2(p->fault);
    struct generate_options o = {.model = p->model,
                                 .version = version,
                                 .clients = 6,
                                 .many = many,
                                 .keys = many   ? 5
                                         : lock ? 1
                                                : 8,
                                 .operations = 300,
                                 .unknown = 2,
                                 .shared = 20,
                                 .fault = p->fault};
    unsigned found = 0, histories = 0;
    for (o.seed = 1; histories < FAULTY_HISTORIES; o.seed++) {
        struct buffer lines;
        buffer_init(&lines, LINES_BYTES_MAX);
        if (generate(&o, &lines) > 0) { /* else there was no opportunity */
            enum search_verdict verdict = judge(&o, &lines, sum);
            assert_int_not_equal(verdict, SEARCH_UNDECIDED);
            histories++;
            found += verdict == SEARCH_FAILS;
        }
        buffer_close(&lines);
        assert_true(o.seed < 20 * FAULTY_HISTORIES);
    }
    return found;
}

/* Each kind of fault, in histories of both versions. */
static void test_planted_faults_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < HF_ARRAY_COUNT(faults); i++) {
        struct sum sum = {0};
        for (int version = needs_version_2(faults[i].fault) ? 2 : 1; version <= 2; version++) {
            unsigned found = hunt(&faults[i], version, &sum);
            print_message("%s, version %d: %u of %u found\n", faults[i].name, version, found,
                          (unsigned)FAULTY_HISTORIES);
            assert_in_range(found, FAULTY_HISTORIES - EXCUSED_MAX, FAULTY_HISTORIES);
        }
    }
}

/* ------------------------------------------------------------------ size */

/* As many operations as a run of some minutes makes: no more places than operations. */
static void test_a_hundred_thousand_operations_are_decided(void **state)
{
    (void)state;
    struct sum sum = {0};
    struct buffer lines;
    struct generate_options o = {.seed = 1,
                                 .model = "lock",
                                 .version = 2,
                                 .clients = 48,
                                 .keys = 8,
                                 .operations = TEST_SEEDS(100000),
                                 .unknown = 2,
                                 .shared = 30};
    buffer_init(&lines, LINES_BYTES_MAX);
    (void)generate(&o, &lines);
    assert_int_equal(judge(&o, &lines, &sum), SEARCH_FITS);
    print_message("%zu operations, %zu unknown, %" PRIu64 " places\n", sum.operations, sum.unknown,
                  sum.places);
    buffer_close(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_plain_locks_fit),
        cmocka_unit_test(test_right_locks_fit),
        cmocka_unit_test(test_right_grants_of_several_fit),
        cmocka_unit_test(test_right_plain_records_fit),
        cmocka_unit_test(test_right_records_fit),
        cmocka_unit_test(test_right_registers_fit),
        cmocka_unit_test(test_planted_faults_are_found),
        cmocka_unit_test(test_a_hundred_thousand_operations_are_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
