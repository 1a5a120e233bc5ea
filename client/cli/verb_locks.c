/* locks: every lock that filters let pass, one line each; or one lock with all that is known of it:
 * its holders, its queue, what happened to it last (lock_view.h). */
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "client/cli/args.h"
#include "client/cli/listing.h"
#include "client/cli/lock_view.h"
#include "client/cli/words.h"

static void print_lock_json(struct json *j, const void *line)
{
    const struct lock_line *l = line;
    json_object(j, NULL);
    json_text(j, "name", l->name);
    json_text(j, "mode", slice_of(word_of_mode(l->mode)));
    json_number(j, "holders", l->holder_count);
    json_number(j, "queue_length", l->queue_length);
    json_token(j, "fencing_token", l->fencing_token);
    json_number(j, "since_ms", l->since_ms);
    json_number(j, "lease_left_ms", l->lease_left_ms);
    json_number(j, "delay_left_ms", l->delay_left_ms);
    json_number(j, "limit", l->limit);
    json_number(j, "units_taken", l->units_taken);
    json_number(j, "units_delayed", l->units_delayed);
    json_bool(j, "frozen", l->frozen != 0);
    json_text(j, "client_name", l->client_name);
    json_text(j, "peer", l->peer);
    json_end(j);
}

static void print_lock(struct table *t, const void *line)
{
    const struct lock_line *l = line;
    char left[24];
    const char *state = word_of_mode(l->mode);
    if (l->holder_count == 0) state = l->delay_left_ms > 0 ? "delayed" : "free";
    table_text(t, l->name);
    table_cell(t, "%s%s", state, l->frozen != 0 ? ", frozen" : "");
    table_cell(t, "%" PRIu64, l->holder_count);
    if (l->limit > 0) {
        table_cell(t, "%" PRIu64 "/%" PRIu64, l->units_taken + l->units_delayed, l->limit);
    } else {
        table_cell(t, "-");
    }
    table_cell(t, "%" PRIu64, l->queue_length);
    table_cell(t, "%" PRIu64, l->fencing_token);
    table_cell(t, "%s",
               text_of_ms(l->holder_count > 0 ? l->lease_left_ms : l->delay_left_ms, left));
    table_text(t, l->client_name);
    table_text(t, l->peer);
}

static const char *const lock_headings[] = {"LOCK",   "MODE",  ">HOLDERS", ">UNITS", ">QUEUE",
                                            ">TOKEN", ">LEFT", "CLIENT",   "PEER"};

static const struct listing locks_listing = {
    .op = OP_CODE_LIST,
    .name = "locks",
    .headings = lock_headings,
    .heading_count = (int)HF_ARRAY_COUNT(lock_headings),
    .print = print_lock,
    .print_json = print_lock_json,
};

/* ------------------------------------------------------------------ what is asked */

/* The options, as they stand in argv. */
struct asked {
    bool held, waited, delayed; /* --held and such */
    const char *mode;           /* --mode, or NULL */
    const char *client;         /* --client, or NULL */
    bool queue;                 /* --queue: one lock */
};

static int take_filters(const struct verb *verb, const struct asked *a, struct msg_list *list)
{
    if (a->held) list->states |= LIST_HELD;
    if (a->waited) list->states |= LIST_WAITED;
    if (a->delayed) list->states |= LIST_DELAYED;
    if (a->client != NULL) {
        int rv = name_check(verb, a->client, 1);
        if (rv != CLI_OK) return rv;
        list->client_name = slice_of(a->client);
    }
    if (a->mode == NULL) return CLI_OK;
    for (unsigned mode = 0; mode <= MODE_PERMITS; mode++)
        if (strcasecmp(word_of_mode(mode), a->mode) == 0) list->modes = UINT64_C(1) << mode;
    if (list->modes != 0) return CLI_OK;
    return cli_fail(CLI_USAGE, "there is no mode \"%s\"; use exclusive, shared or permits",
                    a->mode);
}

static int take_name(const struct verb *verb, const struct asked *a, const struct args *args,
                     struct msg_list *list)
{
    int rv = args_expect(verb, args, a->queue ? 1 : 0, 1, false);
    if (rv != CLI_OK) return rv;
    if (args->word_count > 0) list->prefix = slice_of(args->words[0]);
    bool filtered = list->states != 0 || list->modes != 0 || list->session != 0 ||
                    list->client_name.size > 0 || list->older_than_ms != 0;
    if (a->queue && filtered)
        return cli_fail(CLI_USAGE, "`locks` filters lists, and --queue shows one lock; leave one "
                                   "of them away");
    return args->word_count > 0 ? name_check(verb, args->words[0], a->queue ? 1 : 0) : CLI_OK;
}

static int run_locks(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct asked a = {.held = false};
    struct msg_list list = {.count_max = PAGE_ITEMS_MAX};
    const struct arg_option options[] = {
        {.name = "--queue", .flag = &a.queue},
        {.name = "--held", .flag = &a.held},
        {.name = "--waited", .flag = &a.waited},
        {.name = "--delayed", .flag = &a.delayed},
        {.name = "--mode", .text = &a.mode},
        {.name = "--session", .number = &list.session, .min = 1, .max = UINT64_MAX},
        {.name = "--client", .text = &a.client},
        {.name = "--older-than", .number = &list.older_than_ms, .is_ms = true, .max = TIME_MS_MAX},
    };
    struct args args;
    struct arena arena = {.data = NULL};
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = take_filters(verb, &a, &list);
    if (rv == CLI_OK) rv = take_name(verb, &a, &args, &list);
    if (rv == CLI_OK) rv = reading_open(cli, &arena);
    if (rv != CLI_OK) return rv;
    if (a.queue) {
        rv = lock_view_run(cli, &arena, args.words[0]);
    } else {
        rv = listing_run(&locks_listing, cli, &list, &arena);
    }
    arena_close(&arena);
    return rv;
}

const struct verb verb_locks = {
    .name = "locks",
    .synopsis = "[PREFIX] [--held] [--waited] [--delayed] [--mode MODE] [--session ID]\n"
                "             [--client NAME] [--older-than MS] | NAME --queue",
    .summary = "locks that are held, delayed, waited for or lately lost",
    .help =
        "  PREFIX           only those whose name begins with it; without it all\n"
        "  --held, --waited, --delayed\n"
        "                   only those that somebody holds, that somebody waits for, that a\n"
        "                   lock-delay keeps closed; together: all of that at once\n"
        "  --mode MODE      held exclusive, shared, or as permits\n"
        "  --session ID, --client NAME, --older-than MS\n"
        "                   held by that session, by a client of exactly that name, for so long:\n"
        "                   together, by one and the same holder, who is then the one shown\n"
        "  --queue          one lock: its holders, who waits in the order of service and since\n"
        "                   when, and the last 8 things that happened to it\n"
        "HOLDER and CLIENT are names that clients gave themselves; LEFT is a hint; UNITS are the\n"
        "permits that are taken, those of lost holders that are not back yet among them.\n"
        "With --json: {locks: [{name, mode, holders, queue_length, fencing_token, since_ms,\n"
        "  lease_left_ms, delay_left_ms, limit, units_taken, units_delayed, frozen, client_name,\n"
        "  peer}]}, or with --queue {name, now_ms, holder_count, holders: [...], queue_length,\n"
        "  queue: [...], delay_left_ms, limit, units_taken, units_delayed, frozen, last_loss,\n"
        "  last_loss_at_ms, transitions: [{at_ms, what, why, fencing_token, session, owner}]}; "
        "ages\n"
        "  are now_ms less since_ms or at_ms. A lock that nobody ever used is a free one.\n",
    .run = run_locks,
};
