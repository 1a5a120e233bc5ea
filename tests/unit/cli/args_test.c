/* Arguments, histograms and durations of the command line, without a server. */
#include "client/cli/args.h"
#include "client/cli/histogram.h"
#include "client/cli/output.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>

static const struct verb verb = {.name = "verb", .synopsis = "NAME [--ttl MS] -- COMMAND"};

static struct cli cli;
static struct args args;
static uint64_t ttl_ms;
static const char *text;
static bool flag;

/* Parse up to 15 words behind the verb, into the variables above. */
static int parse(const char *const *words)
{
    static char copies[16][64]; /* argv's words are not const */
    static char *argv[17];
    int argc = 1;
    const struct arg_option options[] = {
        {.name = "--ttl", .number = &ttl_ms, .min = 500, .max = 1000},
        {.name = "--text", .text = &text},
        {.name = "--flag", .flag = &flag},
    };
    argv[0] = copies[0];
    for (; words[argc - 1] != NULL; argc++) {
        (void)snprintf(copies[argc], sizeof copies[argc], "%s", words[argc - 1]);
        argv[argc] = copies[argc];
    }
    argv[argc] = NULL;
    cli = (struct cli){.servers = "here:1"};
    ttl_ms = 0;
    text = NULL;
    flag = false;
    return args_parse(&cli, &verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

/* Options may stand before and behind the words, with a blank or an equals sign. */
static void test_options_are_taken_wherever_they_stand(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--ttl", "700", "name", "--text=a=b", "--flag"), CLI_OK);
    assert_int_equal(ttl_ms, 700);
    assert_string_equal(text, "a=b");
    assert_true(flag);
    assert_int_equal(args.word_count, 1);
    assert_string_equal(args.words[0], "name");
    assert_null(args.command);
}

/* What stands behind `--` belongs to the command, options too. */
static void test_command_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(PARSE("name", "--", "sh", "--ttl", "--", "x"), CLI_OK);
    assert_int_equal(ttl_ms, 0);
    assert_string_equal(args.command[0], "sh");
    assert_string_equal(args.command[3], "x");
    assert_null(args.command[4]);
    assert_int_equal(args_expect(&verb, &args, 1, 1, true), CLI_OK);
    assert_int_equal(args_expect(&verb, &args, 1, 1, false), CLI_USAGE);
}

/* The global options may stand behind the verb as well. */
static void test_global_options_are_taken_behind_the_verb(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--json", "--servers", "there:2", "--help"), CLI_OK);
    assert_true(cli.json);
    assert_true(args.help);
    assert_string_equal(cli.servers, "there:2");
}

/* A number is digits within its range, and nothing else. */
static void test_numbers_out_of_range_are_refused(void **state)
{
    static const char *const bad[] = {"499",  "1001", "-700", "+700",
                                      "700x", "",     " 700", "99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < HF_ARRAY_COUNT(bad); i++) {
        assert_int_equal(PARSE("--ttl", bad[i]), CLI_USAGE);
    }
    assert_int_equal(PARSE("--ttl", "500"), CLI_OK);
    assert_int_equal(PARSE("--ttl", "1000"), CLI_OK);
}

/* Whatever makes no sense is refused before anything is done. */
static void test_nonsense_is_refused(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--unknown"), CLI_USAGE);
    assert_int_equal(PARSE("--tt", "700"), CLI_USAGE);
    assert_int_equal(PARSE("--ttl"), CLI_USAGE);
    assert_int_equal(PARSE("--ttl", "--", "sh"), CLI_USAGE);
    assert_int_equal(PARSE("--flag=1"), CLI_USAGE);
    assert_int_equal(PARSE("a", "b", "c"), CLI_USAGE);
    assert_int_equal(PARSE("a", "b"), CLI_OK);
    assert_int_equal(args_expect(&verb, &args, 0, 1, false), CLI_USAGE);
    assert_int_equal(PARSE("a"), CLI_OK);
    assert_int_equal(args_expect(&verb, &args, 2, 2, false), CLI_USAGE);
    assert_int_equal(args_expect(&verb, &args, 1, 1, true), CLI_USAGE);
    assert_int_equal(PARSE("a", "--"), CLI_OK);
    assert_int_equal(args_expect(&verb, &args, 1, 1, true), CLI_USAGE);
}

/* A percentile is never below the true one, and at most 1.6 % above it. */
static void test_histogram_is_right_to_a_64th(void **state)
{
    static struct histogram h;
    static struct histogram other;
    (void)state;
    for (uint64_t us = 1; us <= 100000; us++) histogram_add(us % 2 == 0 ? &h : &other, us);
    histogram_join(&h, &other);
    assert_int_equal(h.count, 100000);
    assert_int_equal(h.max, 100000);
    assert_in_range(histogram_at(&h, 500), 50000, 50000 + 50000 / 64 + 1);
    assert_in_range(histogram_at(&h, 990), 99000, 100000);
    assert_int_equal(histogram_at(&h, 1000), 100000);
    histogram_add(&h, UINT64_MAX / 2); /* far beyond the last bucket */
    assert_int_equal(histogram_at(&h, 1000), h.max);
}

/* Durations are short and lose no order of magnitude. */
static void test_durations_read_well(void **state)
{
    char out[24];
    (void)state;
    assert_string_equal(text_of_ms(0, out), "0ms");
    assert_string_equal(text_of_ms(999, out), "999ms");
    assert_string_equal(text_of_ms(12345, out), "12.3s");
    assert_string_equal(text_of_ms(310000, out), "5m10s");
    assert_string_equal(text_of_ms(12000000, out), "3h20m");
    assert_string_equal(text_of_ms(UINT64_C(1) << 53, out), "104249991d");
}

/* What a sentence tells to type is one word for a shell, whatever bytes a key has. */
static void test_words_for_a_shell_are_quoted(void **state)
{
    char out[SHELL_WORD_BYTES];
    char quotes[256];
    (void)state;
    assert_string_equal(text_for_shell("orders/42-a_b.c", out), "orders/42-a_b.c");
    assert_string_equal(text_for_shell("", out), "''");
    assert_string_equal(text_for_shell("-x", out), "'-x'");
    assert_string_equal(text_for_shell("a  b; $(c)", out), "'a  b; $(c)'");
    assert_string_equal(text_for_shell("it's", out), "'it'\\''s'");
    memset(quotes, '\'', 255);
    quotes[255] = '\0';
    assert_int_equal(strlen(text_for_shell(quotes, out)), 4 * 255 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_are_taken_wherever_they_stand),
        cmocka_unit_test(test_command_is_left_alone),
        cmocka_unit_test(test_global_options_are_taken_behind_the_verb),
        cmocka_unit_test(test_numbers_out_of_range_are_refused),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_histogram_is_right_to_a_64th),
        cmocka_unit_test(test_durations_read_well),
        cmocka_unit_test(test_words_for_a_shell_are_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
