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
static uint64_t age_ms;
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
        {.name = "--age", .number = &age_ms, .is_ms = true, .min = 500, .max = UINT64_MAX},
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

/* Milliseconds may be written in a longer unit, up to the same bounds; other numbers may not. */
static void test_durations_are_taken_in_any_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"500", 500},   {"500ms", 500},  {"1s", 1000},
                {"5m", 300000}, {"1h", 3600000}, {"2d", 172800000}};
    for (size_t i = 0; i < HF_ARRAY_COUNT(good); i++) {
        assert_int_equal(PARSE("--age", good[i].text), CLI_OK);
        assert_int_equal(age_ms, good[i].ms);
    }
    static const char *const bad[] = {
        "", "h", "1 h", "1x", "-1s", "499", "0h", "1.5h", "1hh", "1H", "18446744073709551615s"};
    for (size_t i = 0; i < HF_ARRAY_COUNT(bad); i++)
        assert_int_equal(PARSE("--age", bad[i]), CLI_USAGE);
    assert_int_equal(PARSE("--age", "18446744073709551615"), CLI_OK);
    assert_int_equal(PARSE("--ttl", "1s"), CLI_USAGE);
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
    assert_string_equal(text_of_wall_ms(0, out), "1970-01-01 00:00:00Z");
    assert_string_equal(text_of_wall_ms(UINT64_C(1795470583895), out), "2026-11-23 21:49:43Z");
}

static void print_table(const char *cell, size_t size, char *out, size_t out_size)
{
    static const char *const headings[] = {"A", "B"};
    struct table t;
    FILE *kept = stdout;
    stdout = fmemopen(out, out_size, "w");
    assert_non_null(stdout);
    table_open(&t, headings, 2);
    table_text(&t, slice_make(cell, size));
    table_cell(&t, "b");
    table_close(&t);
    fclose(stdout);
    stdout = kept;
}

/* No byte of a stranger drives a terminal, and characters of several bytes keep the columns. */
static void test_cells_are_safe_to_show(void **state)
{
    char out[8192];
    char body[4096];
    (void)state;
    print_table("\x1b[m\x7f", 4, out, sizeof out);
    assert_string_equal(out, "A           B\n\\x1b[m\\x7f  b\n");
    print_table("\xc2\x9b\xff", 3, out, sizeof out);
    assert_non_null(strstr(out, "\n\\xc2\\x9b\\xff  b\n"));
    print_table("\xc2\x9b", 2, out, sizeof out);
    assert_non_null(strstr(out, "\n\\xc2\\x9b  b\n"));
    print_table("\xc3\xa4\xc2\xa7", 4, out, sizeof out);
    assert_string_equal(out, "A   B\n\xc3\xa4\xc2\xa7  b\n");
    for (size_t i = 0; i < sizeof body; i++) body[i] = i % 2 == 0 ? '\xc3' : '\xa4';
    print_table(body, sizeof body, out, sizeof out);
    assert_non_null(strstr(out, "\xc3\xa4 ... (2144 bytes more; --json shows them)  b\n"));
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
        cmocka_unit_test(test_durations_are_taken_in_any_unit),
        cmocka_unit_test(test_histogram_is_right_to_a_64th),
        cmocka_unit_test(test_durations_read_well),
        cmocka_unit_test(test_cells_are_safe_to_show),
        cmocka_unit_test(test_words_for_a_shell_are_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
