/* freeze, thaw: nothing new begins under a prefix, or may again. frozen: which prefixes are. */
#include <inttypes.h>

#include "client/cli/act.h"
#include "client/cli/args.h"
#include "client/cli/listing.h"
#include "client/cli/words.h"
#include "client/include/holdfast_admin.h"

/* The words of the command line, checked; and a client. *prefix is NULL: there is no more to do. */
static int prepare(struct cli *cli, const struct verb *verb, int argc, char **argv, struct act *act,
                   const char **prefix)
{
    const struct arg_option options[] = {
        {.name = "--reason", .text = &act->reason},
        {.name = "--operator", .text = &act->operator_name},
    };
    struct args args;
    *prefix = NULL;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 1, 1, false);
    if (rv == CLI_OK) rv = name_check(verb, args.words[0], 0);
    if (rv == CLI_OK) rv = act_check(verb, act);
    if (rv == CLI_OK) rv = cli_open(cli, 0, 0, NULL);
    if (rv == CLI_OK) *prefix = args.words[0];
    return rv;
}

static int run_freeze(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct act act = {.reason = NULL};
    const char *prefix;
    int rv = prepare(cli, verb, argc, argv, &act, &prefix);
    if (prefix == NULL) return rv;
    hf_request request = {.id = 0};
    int status = act_insist(hf_freeze(cli->client, prefix, act.reason, act.operator_name, &request),
                            &request);
    if (status == HF_EQUOTA)
        return cli_fail(CLI_TRY_AGAIN,
                        "\"%s\" was not frozen: 64 prefixes are; thaw one of `holdfast frozen`",
                        prefix);
    return status == HF_OK ? CLI_OK : cli_fail_status(cli, status, "freeze it");
}

static int run_thaw(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct act act = {.reason = NULL};
    const char *prefix;
    int rv = prepare(cli, verb, argc, argv, &act, &prefix);
    if (prefix == NULL) return rv;
    hf_request request = {.id = 0};
    int status =
        act_insist(hf_thaw(cli->client, prefix, act.reason, act.operator_name, &request), &request);
    if (status == HF_ENOTFOUND)
        return cli_fail(CLI_ABSENT,
                        "the prefix \"%s\" is not frozen; `holdfast frozen` lists those that are",
                        prefix);
    return status == HF_OK ? CLI_OK : cli_fail_status(cli, status, "thaw it");
}

static void print_json(struct json *j, const void *line)
{
    const struct frozen_line *f = line;
    json_object(j, NULL);
    json_text(j, "prefix", f->prefix);
    json_number(j, "since_ms", f->since_ms);
    json_number(j, "wall_ms", f->wall_ms);
    json_text(j, "operator", f->operator_name);
    json_text(j, "reason", f->reason);
    json_end(j);
}

static void print(struct table *t, const void *line)
{
    const struct frozen_line *f = line;
    char when[24];
    if (f->prefix.size > 0) {
        table_text(t, f->prefix);
    } else {
        table_cell(t, "(everything)");
    }
    table_cell(t, "%s", text_of_wall_ms(f->wall_ms, when));
    table_text(t, f->operator_name);
    table_text(t, f->reason);
}

static const char *const headings[] = {"FROZEN", "SINCE", "WHO", "WHY"};

static const struct listing frozen_listing = {
    .name = "frozen",
    .headings = headings,
    .heading_count = (int)HF_ARRAY_COUNT(headings),
    .print = print,
    .print_json = print_json,
};

static int run_frozen(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct args args;
    struct arena arena = {.data = NULL};
    struct msg_empty request = {0};
    struct msg_frozen_reply reply;
    int rv = args_parse(cli, verb, argc, argv, NULL, 0, &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 0, 0, false);
    if (rv == CLI_OK) rv = reading_open(cli, &arena);
    if (rv != CLI_OK) return rv;
    int status = raw_call(cli->client, OP_CODE_FROZEN_LIST, &request, &arena, &reply);
    if (status == HF_OK)
        listing_show(&frozen_listing, cli, &reply.prefixes, sizeof(struct frozen_line));
    arena_close(&arena);
    return status == HF_OK ? CLI_OK : cli_fail_status(cli, status, "list the frozen prefixes");
}

const struct verb verb_freeze = {
    .name = "freeze",
    .synopsis = "PREFIX --reason TEXT --operator NAME",
    .summary = "let nothing new begin under a prefix",
    .help = "  PREFIX            of locks' names and records' keys; \"\" for all\n"
            "  --reason TEXT     why; kept, at most 1,024 bytes\n"
            "  --operator NAME   who decides; kept\n"
            "Who asks for a lock or begins a record there is told FROZEN; who waits already goes\n"
            "on waiting, as long as it wanted to. Holders keep what they have, renew, release and\n"
            "complete. At most 64 prefixes can be frozen.\n",
    .run = run_freeze,
};

const struct verb verb_thaw = {
    .name = "thaw",
    .synopsis = "PREFIX --reason TEXT --operator NAME",
    .summary = "end a freeze: who waits is served",
    .help = "  PREFIX            exactly as it was frozen\n"
            "  --reason TEXT     why; kept, at most 1,024 bytes\n"
            "  --operator NAME   who decides; kept\n"
            "What stands under another frozen prefix as well stays frozen. Exit code 66: PREFIX\n"
            "is not frozen.\n",
    .run = run_thaw,
};

const struct verb verb_frozen = {
    .name = "frozen",
    .synopsis = "",
    .summary = "which prefixes are frozen, since when and why",
    .help = "With --json: {frozen: [{prefix, since_ms, wall_ms, operator, reason}]}.\n",
    .run = run_frozen,
};
