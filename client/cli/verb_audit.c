/* audit: what administrators did, oldest first. */
#include <inttypes.h>

#include "client/cli/args.h"
#include "client/cli/listing.h"
#include "client/cli/words.h"

static void print_line(struct table *t, const void *line)
{
    const struct act_line *a = line;
    char when[24];
    table_cell(t, "%" PRIu64, a->number);
    table_cell(t, "%s", text_of_wall_ms(a->wall_ms, when));
    table_text(t, a->operator_name);
    table_cell(t, "%s", word_of_act(a->op));
    table_text(t, a->name);
    table_text(t, a->before);
    table_text(t, a->after);
    table_text(t, a->reason);
    table_text(t, a->peer);
}

static void print_object(struct json *j, const void *line)
{
    const struct act_line *a = line;
    json_object(j, NULL);
    json_token(j, "number", a->number);
    json_number(j, "cluster_time_ms", a->at_ms);
    json_number(j, "wall_ms", a->wall_ms);
    json_token(j, "session", a->session);
    json_text(j, "client_name", a->client_name);
    json_text(j, "principal", a->principal);
    json_text(j, "peer", a->peer);
    json_text(j, "operator", a->operator_name);
    json_text(j, "act", slice_of(word_of_act(a->op)));
    json_text(j, "name", a->name);
    json_text(j, "reason", a->reason);
    json_text(j, "before", a->before);
    json_text(j, "after", a->after);
    json_end(j);
}

static const char *const headings[] = {">NUMBER", "WHEN",  "WHO", "ACT", "NAME",
                                       "BEFORE",  "AFTER", "WHY", "FROM"};

static const struct listing acts_listing = {
    .op = OP_CODE_AUDIT,
    .name = "acts",
    .headings = headings,
    .heading_count = (int)HF_ARRAY_COUNT(headings),
    .print = print_line,
    .print_json = print_object,
};

static int run(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct msg_audit request = {.count_max = PAGE_ITEMS_MAX};
    const struct arg_option options[] = {
        {.name = "--since", .number = &request.cursor, .max = UINT64_MAX},
    };
    struct args args;
    struct arena arena = {.data = NULL};
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 0, 0, false);
    if (rv == CLI_OK) rv = reading_open(cli, &arena);
    if (rv != CLI_OK) return rv;
    rv = listing_run(&acts_listing, cli, &request, &arena);
    arena_close(&arena);
    return rv;
}

const struct verb verb_audit = {
    .name = "audit",
    .synopsis = "[--since N]",
    .summary = "what administrators did, and why",
    .help = "  --since N   only acts behind number N: what came since the last look\n"
            "Each act that changed something has a number, without a gap; the last 10,000 are\n"
            "kept. What `resolve` was given as evidence stands in the record. With --json: {acts:\n"
            "  [{number, cluster_time_ms, wall_ms, session, client_name, principal, peer,\n"
            "  operator, act, name, reason, before, after}]}.\n",
    .run = run,
};
