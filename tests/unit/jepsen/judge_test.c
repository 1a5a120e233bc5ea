/* What the run makes of its judge: exit codes, silence and words. The program is its own judge: as
 * `judge_test check --model MODEL FILE` it ends as the file FILE says for that model. */
#include "jepsen/run/judge.h"
#include "tests/unit/cmocka_all.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jepsen/command.h"

enum { DIED = -9, LINE_BYTES = 512 };

static const struct workload two_models = {.name = "two", .models = {"lock", "idem", NULL}};

static struct plan plan;
static struct world world;
static struct results results;
static char folder[] = "/tmp/judge_test.XXXXXX";

/* ------------------------------------------------------------------ the judge in the other process
 */

/* Lines of FILE: "MODEL CODE WORDS"; the words are what it says, | a line's end. */
static int be_judge(const char *model, const char *path)
{
    char line[LINE_BYTES], *words;
    int found = 70;
    size_t size = strlen(model);
    FILE *f = fopen(path, "r");
    if (f == NULL) return 70;
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, model, size) != 0) continue;
        found = (int)strtol(line + size, &words, 10);
        for (char *c = words + 1; *c != '\0' && *c != '\n'; c++) putchar(*c == '|' ? '\n' : *c);
    }
    fclose(f);
    putchar('\n');
    fflush(stdout);
    if (found == DIED) (void)raise(SIGKILL);
    return found;
}

/* ------------------------------------------------------------------ fixture */

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/judge_test.XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    plan = (struct plan){.workload = &two_models};
    snprintf(plan.out, sizeof plan.out, "%s", folder);
    world = (struct world){.plan = &plan};
    snprintf(world.history, sizeof world.history, "%s/history.jsonl", folder);
    results = (struct results){.world = &world};
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"history.jsonl", "check-lock.txt", "check-idem.txt"};
    char path[RUN_PATH_BYTES];
    (void)state;
    for (size_t i = 0; i < HF_ARRAY_COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

static int judged(const char *verdicts)
{
    FILE *f = fopen(world.history, "w");
    assert_non_null(f);
    fputs(verdicts, f);
    fclose(f);
    return judge_history(&world, &results);
}

/* ------------------------------------------------------------------ tests */

/* Both models fit: good, and the last line of each is what the checker said. */
static void test_fitting_history_is_good(void **state)
{
    (void)state;
    assert_int_equal(judged("lock 0 more|history.jsonl: lock: 5 operations: fits\n"
                            "idem 0 history.jsonl: idem: 7 operations: fits\n"),
                     RUN_GOOD);
    assert_string_equal(results.checker, "lock: 5 operations: fits; idem: 7 operations: fits");
    assert_int_equal(world.failure_count, 0);
    assert_int_equal(results.violation_ns, 0);
}

/* One that does not fit is a failure with the first line of its reasons, and where it breaks; the
 * other model is asked all the same. */
static void test_history_that_does_not_fit_is_a_failure(void **state)
{
    (void)state;
    assert_int_equal(judged("lock 1 key \"k\": a had token 9 at 2.500000000|x|history.jsonl: no\n"
                            "idem 0 history.jsonl: idem: fits\n"),
                     RUN_VIOLATED);
    assert_int_equal(world.failure_count, 1);
    assert_non_null(strstr(world.failures[0], "check-lock.txt: key \"k\": a had token 9"));
    assert_int_equal(results.violation_ns, 2500000000U);
    assert_non_null(strstr(results.checker, "idem: fits"));
}

/* The operation that nothing explains is where it breaks, whatever moments stand before it. */
static void test_unexplained_operation_is_the_place(void **state)
{
    (void)state;
    assert_int_equal(judged("lock 0 f\n"
                            "idem 1 no order at 1.0|without explanation:|  line 12 3.25 c1\n"),
                     RUN_VIOLATED);
    assert_int_equal(results.violation_ns, 3250000000U);
}

/* Undecided is no verdict, and weaker than a failure. */
static void test_undecided_is_told(void **state)
{
    (void)state;
    assert_int_equal(judged("lock 3 undecided\nidem 0 fits\n"), RUN_UNDECIDED);
    assert_int_equal(world.failure_count, 0);
    assert_int_equal(judged("lock 3 undecided\nidem 1 no\n"), RUN_VIOLATED);
}

/* A history that cannot be read, a judge that crashed or was killed: the run proves nothing. */
static void test_judge_without_a_verdict_is_no_good_run(void **state)
{
    (void)state;
    assert_int_equal(judged("lock 0 fits\nidem 2 line 3: not JSON\n"), RUN_IO);
    assert_int_equal(judged("lock 0 fits\nidem 66 no file\n"), RUN_IO);
    assert_int_equal(judged("lock -9 x\nidem 0 fits\n"), RUN_IO);
    assert_int_equal(judged("lock 3 undecided\nidem -9 x\n"), RUN_IO);
    assert_int_equal(world.failure_count, 0);
}

/* What failed before the judge was asked stays a failure. */
static void test_failure_of_the_run_stays(void **state)
{
    (void)state;
    world_fail(&world, "a claim");
    assert_int_equal(judged("lock 0 fits\nidem 0 fits\n"), RUN_VIOLATED);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "check") == 0) return be_judge(argv[3], argv[4]);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_fitting_history_is_good),
        TEST(test_history_that_does_not_fit_is_a_failure),
        TEST(test_unexplained_operation_is_the_place),
        TEST(test_undecided_is_told),
        TEST(test_judge_without_a_verdict_is_no_good_run),
        TEST(test_failure_of_the_run_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
