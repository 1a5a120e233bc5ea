#include "client/cli/args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *args_usage(const struct verb *verb, char *out)
{
    size_t size = (size_t)snprintf(out, ARGS_USAGE_BYTES, "holdfast %s", verb->name);
    bool gap = true; /* line ends and the blanks around them become one blank */
    for (const char *p = verb->synopsis; *p != '\0'; p++) {
        if (*p == ' ' || *p == '\n') {
            gap = true;
            continue;
        }
        HF_ASSERT(size + 3 <= ARGS_USAGE_BYTES);
        if (gap) out[size++] = ' ';
        gap = false;
        out[size++] = *p;
    }
    out[size] = '\0';
    return out;
}

static const struct arg_option *find(const struct arg_option *options, size_t count,
                                     const char *name, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

/* Before the verb the options belong to a verb without a name. */
static const char *gap_of(const struct verb *verb)
{
    return verb->name[0] != '\0' ? " " : "";
}

/* Milliseconds in the unit that stands behind a number; 0 = there is no such unit. */
static uint64_t unit_ms(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    for (size_t i = 0; i < HF_ARRAY_COUNT(units); i++)
        if (strcmp(units[i].name, unit) == 0) return units[i].ms;
    return 0;
}

static int take_number(const struct verb *verb, const struct arg_option *option, const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    uint64_t unit = option->is_ms ? unit_ms(end) : *end == '\0';
    bool fits = text[0] >= '0' && text[0] <= '9' && errno == 0 && unit != 0;
    if (fits) fits = value <= option->max / unit && value * unit >= option->min;
    if (!fits) {
        return cli_fail(CLI_USAGE,
                        "%s takes a whole number from %" PRIu64 " to %" PRIu64
                        "%s, not \"%s\"; see `holdfast %s%s--help`",
                        option->name, option->min, option->max,
                        option->is_ms ? " of milliseconds, or as 90s, 5m, 1h, 2d" : "", text,
                        verb->name, gap_of(verb));
    }
    *option->number = value * unit;
    return CLI_OK;
}

/* Take the option at argv[*at]; moves *at to its last word. */
static int take_option(const struct verb *verb, const struct arg_option *options, size_t count,
                       int argc, char **argv, int *at)
{
    const char *word = argv[*at];
    const char *equals = strchr(word, '=');
    size_t size = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const struct arg_option *option = find(options, count, word, size);
    if (option == NULL) {
        return cli_fail(CLI_USAGE, "there is no option %.*s; see `holdfast %s%s--help`", (int)size,
                        word, verb->name, gap_of(verb));
    }
    if (option->flag != NULL) {
        if (equals != NULL) {
            return cli_fail(CLI_USAGE, "%s takes no value; leave \"%s\" away", option->name,
                            equals);
        }
        *option->flag = true;
        return CLI_OK;
    }
    if (equals == NULL && (*at + 1 >= argc || strcmp(argv[*at + 1], "--") == 0)) {
        return cli_fail(CLI_USAGE, "%s needs a value behind it; see `holdfast %s%s--help`",
                        option->name, verb->name, gap_of(verb));
    }
    const char *value = equals != NULL ? equals + 1 : argv[++*at];
    if (option->number != NULL) return take_number(verb, option, value);
    HF_ASSERT(option->text != NULL); /* an option is a flag, a number or a text */
    *option->text = value;
    return CLI_OK;
}

static int take_word(const struct verb *verb, struct args *args, const char *word)
{
    char usage[ARGS_USAGE_BYTES];
    if (args->word_count == ARGS_WORDS_MAX) {
        return cli_fail(CLI_USAGE, "\"%s\" is one argument too many; use: %s", word,
                        args_usage(verb, usage));
    }
    args->words[args->word_count++] = word;
    return CLI_OK;
}

int args_parse(struct cli *cli, const struct verb *verb, int argc, char **argv,
               const struct arg_option *options, size_t count, struct args *args)
{
    const struct arg_option everywhere[] = {
        {.name = "--servers", .text = &cli->servers},
        {.name = "--json", .flag = &cli->json},
        {.name = "--stale", .flag = &cli->stale},
        {.name = "--timeout", .number = &cli->timeout_ms, .is_ms = true, .min = 1, .max = 3600000},
        {.name = "--help", .flag = &args->help},
    };
    HF_ASSERT(argc >= 1);
    *args = (struct args){.word_count = 0};
    for (int i = 1; i < argc; i++) {
        int rv = CLI_OK;
        size_t name_size = strcspn(argv[i], "=");
        if (strcmp(argv[i], "--") == 0) {
            args->command = &argv[i + 1];
            return CLI_OK;
        }
        if (strcmp(argv[i], "-h") == 0) {
            args->help = true;
        } else if (argv[i][0] != '-' || argv[i][1] == '\0') {
            rv = take_word(verb, args, argv[i]);
        } else if (find(everywhere, HF_ARRAY_COUNT(everywhere), argv[i], name_size) != NULL) {
            rv = take_option(verb, everywhere, HF_ARRAY_COUNT(everywhere), argc, argv, &i);
        } else {
            rv = take_option(verb, options, count, argc, argv, &i);
        }
        if (rv != CLI_OK) return rv;
    }
    return CLI_OK;
}

int args_expect(const struct verb *verb, const struct args *args, int min, int max,
                bool wants_command)
{
    const char *problem = NULL;
    char usage[ARGS_USAGE_BYTES];
    if (args->word_count < min) problem = "an argument is missing";
    if (args->word_count > max) problem = "there is one argument too many";
    if (wants_command && args->command == NULL)
        problem = "there is no `--` with a command behind it";
    if (wants_command && args->command != NULL && args->command[0] == NULL) {
        problem = "there is no command behind the `--`";
    }
    if (!wants_command && args->command != NULL) problem = "it runs no command";
    if (problem == NULL) return CLI_OK;
    return cli_fail(CLI_USAGE, "`%s` cannot begin, %s; use: %s", verb->name, problem,
                    args_usage(verb, usage));
}

int args_help(const struct verb *verb)
{
    const char *gap = verb->synopsis[0] != '\0' ? " " : "";
    printf("holdfast %s%s%s\n  %s\n\n%s", verb->name, gap, verb->synopsis, verb->summary,
           verb->help);
    return CLI_OK;
}
