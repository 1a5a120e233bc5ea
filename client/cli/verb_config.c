/* config: the cluster's replicated settings, and setting one of them. Its range is looked at before
 * it is sent, so that the sentence can tell it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/act.h"
#include "client/cli/args.h"
#include "client/cli/listing.h"
#include "client/cli/words.h"
#include "client/include/holdfast_admin.h"

enum { ARENA_BYTES = 64 * 1024 };

static void print_json(struct json *j, const void *line)
{
    const struct setting_line *s = line;
    json_object(j, NULL);
    json_text(j, "name", s->name);
    json_number(j, "value", s->value);
    json_number(j, "default", s->initial);
    json_number(j, "min", s->min);
    json_number(j, "max", s->max);
    json_number(j, "changes", s->changes);
    json_text(j, "about", s->about);
    json_end(j);
}

static void print(struct table *t, const void *line)
{
    const struct setting_line *s = line;
    table_text(t, s->name);
    table_cell(t, "%" PRIu64, s->value);
    table_cell(t, "%" PRIu64, s->initial);
    table_cell(t, "%" PRIu64, s->min);
    table_cell(t, "%" PRIu64, s->max);
    table_cell(t, "%" PRIu64, s->changes);
    table_text(t, s->about);
}

static const char *const headings[] = {"SETTING", ">VALUE", ">DEFAULT",  ">LEAST",
                                       ">MOST",   ">SET",   "WHAT IT IS"};

static const struct listing settings_listing = {
    .name = "settings",
    .headings = headings,
    .heading_count = (int)HF_ARRAY_COUNT(headings),
    .print = print,
    .print_json = print_json,
};

/* Ask for one, or for all ("" = all). */
static int ask(struct cli *cli, const char *name, struct arena *arena,
               struct msg_config_reply *reply)
{
    struct msg_config_get get = {slice_of(name)};
    int status = raw_call(cli->client, OP_CODE_CONFIG_GET, &get, arena, reply);
    if (status == HF_OK) return CLI_OK;
    if (status != HF_EBADREQUEST) return cli_fail_status(cli, status, "read the settings");
    return cli_fail(CLI_ABSENT, "there is no setting \"%s\"; `holdfast config get` lists them",
                    name);
}

static int get(struct cli *cli, const char *name)
{
    struct arena arena = {.data = NULL};
    struct msg_config_reply reply;
    int rv = name != NULL && name[0] == '\0' ? cli_fail(CLI_USAGE, "a setting has a name") : CLI_OK;
    if (rv == CLI_OK) rv = reading_open(cli, &arena);
    if (rv != CLI_OK) return rv;
    rv = ask(cli, name != NULL ? name : "", &arena, &reply);
    if (rv == CLI_OK)
        listing_show(&settings_listing, cli, &reply.settings, sizeof(struct setting_line));
    arena_close(&arena);
    return rv;
}

/* The setting as it is, and whether the value fits it. */
static int look(struct cli *cli, const char *name, uint64_t value)
{
    struct arena arena = {.data = NULL};
    struct msg_config_reply reply;
    if (arena_init(&arena, ARENA_BYTES) != HF_OK)
        return cli_fail(CLI_SYSTEM, "no memory; free some on this machine");
    int rv = ask(cli, name, &arena, &reply);
    if (rv == CLI_OK && reply.settings.count == 1) {
        const struct setting_line *s = reply.settings.items;
        if (value < s->min || value > s->max)
            rv = cli_fail(CLI_USAGE,
                          "\"%s\" cannot be %" PRIu64 ", so nothing was changed; it takes %" PRIu64
                          " to %" PRIu64,
                          name, value, s->min, s->max);
    }
    arena_close(&arena);
    return rv;
}

static int set(struct cli *cli, const char *name, uint64_t value, const uint64_t *was,
               const struct act *act)
{
    int rv = cli_open(cli, 0, 0, NULL);
    if (rv == CLI_OK) rv = look(cli, name, value);
    if (rv != CLI_OK) return rv;
    hf_request request = {.id = 0};
    int status = act_insist(
        hf_config_set(cli->client, name, value, was, act->reason, act->operator_name, &request),
        &request);
    if (status == HF_OK) return CLI_OK;
    if (status != HF_ECHANGED || was == NULL) return cli_fail_status(cli, status, "set it");
    return cli_fail(CLI_MISMATCH,
                    "\"%s\" is not %" PRIu64 " any more, so nothing was changed; look at it with "
                    "`holdfast config get %s` and decide again",
                    name, *was, name);
}

static bool is_number(const char *text, uint64_t *number)
{
    char *end;
    if (text[0] < '0' || text[0] > '9') return false;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *number <= TIME_MS_MAX;
}

static int run(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct act act = {.reason = NULL};
    uint64_t value;
    uint64_t was = UINT64_MAX;
    const struct arg_option options[] = {
        {.name = "--was", .number = &was, .max = TIME_MS_MAX},
        {.name = "--reason", .text = &act.reason},
        {.name = "--operator", .text = &act.operator_name},
    };
    struct args args;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 1, 3, false);
    if (rv != CLI_OK) return rv;
    bool sets = strcmp(args.words[0], "set") == 0;
    bool bare = was == UINT64_MAX && act.reason == NULL && act.operator_name == NULL;
    if (!sets && (strcmp(args.words[0], "get") != 0 || args.word_count > 2 || !bare)) {
        char usage[ARGS_USAGE_BYTES];
        return cli_fail(CLI_USAGE, "`config` gets or sets; use: %s", args_usage(verb, usage));
    }
    if (!sets) return get(cli, args.word_count > 1 ? args.words[1] : NULL);
    rv = args_expect(verb, &args, 3, 3, false);
    if (rv == CLI_OK) rv = name_check(verb, args.words[1], 1);
    if (rv == CLI_OK) rv = act_check(verb, &act);
    if (rv != CLI_OK) return rv;
    if (!is_number(args.words[2], &value))
        return cli_fail(CLI_USAGE, "\"%s\" is no number; settings are numbers", args.words[2]);
    return set(cli, args.words[1], value, was != UINT64_MAX ? &was : NULL, &act);
}

const struct verb verb_config = {
    .name = "config",
    .synopsis = "get [NAME] | set NAME VALUE [--was OLD] --reason TEXT --operator NAME",
    .summary = "the cluster's settings: look at them, set one",
    .help = "  --was OLD         only if it is OLD now, so that nobody's change is overwritten\n"
            "  --reason TEXT     why; kept, at most 1,024 bytes\n"
            "  --operator NAME   who decides; kept\n"
            "A setting is replicated: all servers obey it from the same place in the log on. What\n"
            "concerns one server alone stands in its own file. Exit code 65: it is not OLD any\n"
            "more; 66: there is no such setting. Column SET: how often it was set. With --json,\n"
            "  of get: {settings: [{name, value, default, min, max, changes, about}]}.\n",
    .run = run,
};
