/* watch: events as they come, one line each, until it is ended. events: the prefixes under which
 * all is told, switched on and off. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/act.h"
#include "client/cli/args.h"
#include "client/cli/listing.h"
#include "client/cli/words.h"
#include "client/include/holdfast_watch.h"

enum { WAIT_MS = 30000 };

static const char *const kinds[] = {
    "",      "lost",   "forced",  "unknown",  "late",   "timer-dead", "session-expired",
    "admin", "queued", "granted", "released", "record", "timer-fired"};
_Static_assert(HF_ARRAY_COUNT(kinds) == EVENT_KIND_MAX + 1, "a word a kind");

/* The word of the list that an event's kind names; "" where there is nothing to say. */
static const char *word_of_what(const hf_event *e)
{
    uint64_t what = (uint64_t)e->what;
    switch (e->kind) {
    case HF_EVENT_LOST:
    case HF_EVENT_FORCED:
    case HF_EVENT_RELEASED:
    case HF_EVENT_SESSION_EXPIRED: return word_of_reason(what);
    case HF_EVENT_QUEUED:
    case HF_EVENT_GRANTED: return word_of_mode(what);
    case HF_EVENT_ADMIN: return word_of_act(what);
    case HF_EVENT_RECORD: return what == RECORD_ABSENT ? "gone" : word_of_state(what);
    case HF_EVENT_LATE_COMPLETION: return word_of_state(what);
    default: return "";
    }
}

/* ------------------------------------------------------------------ watch */

struct watching {
    const struct cli *cli;
    uint64_t count_left; /* events to show, then it ends; 0 = without end */
    bool once;           /* end when some were shown, or there are no more */
    bool has_shown;      /* one at least */
    bool is_over;        /* as many were shown */
};

static void print_json(const hf_event *e)
{
    struct json j = {.depth = 0};
    json_object(&j, NULL);
    json_token(&j, "number", e->number);
    json_text(&j, "kind", slice_of(kinds[e->kind]));
    json_text(&j, "what", slice_of(word_of_what(e)));
    json_text(&j, "name", slice_of(e->name));
    json_text(&j, "branch", slice_of(e->branch));
    json_token(&j, "fencing_token", e->fencing_token);
    json_token(&j, "session", e->session);
    json_number(&j, "serial", e->serial);
    json_number(&j, "at_ms", e->at_ms);
    json_number(&j, "wall_ms", e->wall_ms);
    json_text(&j, "client_name", slice_of(e->client_name));
    json_text(&j, "operator", slice_of(e->operator_name));
    json_end(&j);
}

static void print_part(const char *before, const char *text)
{
    if (text[0] == '\0') return;
    printf("%s", before);
    text_print(slice_of(text));
}

static void print_line(const hf_event *e)
{
    char when[24];
    const char *what = word_of_what(e);
    printf("%s  %" PRIu64 "  %s%s%s  ", text_of_wall_ms(e->wall_ms, when), e->number,
           kinds[e->kind], what[0] != '\0' ? " " : "", what);
    text_print(slice_of(e->name));
    print_part(" ", e->branch);
    if (e->fencing_token != 0) printf("  token %" PRIu64, e->fencing_token);
    print_part("  ", e->client_name);
    print_part("  by ", e->operator_name);
    printf("\n");
}

static int show(const hf_event *event, void *data)
{
    struct watching *w = data;
    if (w->cli->json) {
        print_json(event);
    } else {
        print_line(event);
    }
    w->has_shown = true;
    w->is_over = w->count_left == 1;
    if (w->count_left > 1) w->count_left -= 1;
    return w->is_over;
}

static void print_gap(const struct cli *cli, uint64_t from, uint64_t next)
{
    struct json j = {.depth = 0};
    if (!cli->json) {
        printf("GAP  events from %" PRIu64 " on are not kept any more; it goes on at %" PRIu64 "\n",
               from, next);
        return;
    }
    json_object(&j, NULL);
    json_text(&j, "kind", slice_of("gap"));
    json_token(&j, "from", from);
    json_token(&j, "next", next);
    json_end(&j);
}

/* An answer came. One that is empty says that there are no more only if it brought no further. */
static bool is_last(const struct watching *state, const hf_watch *w, uint64_t from)
{
    return state->once && (state->has_shown || from == 0 || w->next == from);
}

/* The first answer comes at once, so that who reaches no server is soon told. */
static int watch(struct cli *cli, hf_watch *w, struct watching *state)
{
    bool had_answer = false;
    bool was_told = false;
    while (!state->is_over) {
        uint64_t from = w->next;
        w->wait_ms = had_answer && !state->once ? WAIT_MS : 0;
        int status = hf_watch_poll(cli->client, w, show, state);
        if (status == HF_EGAP) print_gap(cli, from, w->next);
        if (status == HF_OK || status == HF_EGAP) {
            had_answer = true;
            was_told = false;
            bool over = is_last(state, w, from);
            if (fflush(stdout) != 0 || over) return CLI_OK; /* main() tells of it */
            continue;
        }
        if (status == HF_EBADREQUEST) {
            return cli_fail(CLI_USAGE,
                            "this cluster has not come to event %" PRIu64 " yet; take a number "
                            "that `holdfast watch` has shown, or leave out --from",
                            from);
        }
        if (!had_answer || !cli_is_weather(status)) return cli_fail_status(cli, status, "watch");
        if (!was_told) {
            cli_warn("no server answers (%s); it goes on from %" PRIu64 " when one does",
                     hf_status_text(status), w->next);
        }
        was_told = true;
    }
    return CLI_OK;
}

/* \param words  "lost,granted", ...; NULL = all. */
static int kinds_of(const char *words, uint32_t *bits)
{
    *bits = 0;
    while (words != NULL) {
        size_t size = strcspn(words, ",");
        int kind = 1;
        while (kind <= EVENT_KIND_MAX &&
               (strlen(kinds[kind]) != size || strncmp(kinds[kind], words, size) != 0)) {
            kind += 1;
        }
        if (kind > EVENT_KIND_MAX) {
            return cli_fail(CLI_USAGE,
                            "\"%.*s\" is no kind of event; `holdfast watch --help` lists them",
                            (int)size, words);
        }
        *bits |= HF_EVENT_BIT(kind);
        words = words[size] == ',' ? words + size + 1 : NULL;
    }
    return CLI_OK;
}

static int run_watch(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    const char *words = NULL;
    hf_watch w = {.next = 0};
    struct watching state = {.cli = cli};
    const struct arg_option options[] = {
        {.name = "--kinds", .text = &words},
        {.name = "--from", .number = &w.next, .min = 1, .max = TOKEN_END - 1},
        {.name = "--count", .number = &state.count_left, .min = 1, .max = UINT32_MAX},
        {.name = "--once", .flag = &state.once},
    };
    struct args args;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 0, 1, false);
    if (rv == CLI_OK && args.word_count > 0) rv = name_check(verb, args.words[0], 0);
    if (rv == CLI_OK) rv = kinds_of(words, &w.kinds);
    if (rv == CLI_OK) rv = cli_open(cli, 0, READING_TIMEOUT_MS, NULL);
    if (rv != CLI_OK) return rv;
    if (args.word_count > 0) w.prefix = args.words[0];
    return watch(cli, &w, &state);
}

const struct verb verb_watch = {
    .name = "watch",
    .synopsis = "[PREFIX] [--kinds KIND,...] [--from NUMBER] [--count N] [--once]",
    .summary = "events as they happen, one line each",
    .help =
        "  PREFIX            only of names that begin with it; without it all\n"
        "  --kinds KIND,...  lost, forced, unknown, late, timer-dead, session-expired, admin; "
        "and,\n"
        "                    under prefixes that `events on` has switched on: queued, granted,\n"
        "                    released, record, timer-fired. Without it all\n"
        "  --from NUMBER     go on there, as far back as events are kept; else from now on\n"
        "  --count N         end when N were shown\n"
        "  --once            show what has happened from NUMBER on, at most 200, and end\n"
        "It goes on over lost connections and leaders, leaves nothing out and shows nothing "
        "twice;\n"
        "where events are not kept any more it says so in a line of its own. With --json each "
        "line\n"
        "is a document: {number, kind, what, name, branch, fencing_token, session, serial, at_ms,\n"
        "  wall_ms, client_name, operator}, or {kind: \"gap\", from, next}.\n",
    .run = run_watch,
};

/* ------------------------------------------------------------------ events */

static void print_prefix(struct table *t, const void *line)
{
    const struct event_prefix_line *p = line;
    char when[24];
    if (p->prefix.size > 0) {
        table_text(t, p->prefix);
    } else {
        table_cell(t, "(everything)");
    }
    table_cell(t, "%s", text_of_wall_ms(p->wall_ms, when));
    table_text(t, p->operator_name);
    table_text(t, p->reason);
}

static void print_prefix_json(struct json *j, const void *line)
{
    const struct event_prefix_line *p = line;
    json_object(j, NULL);
    json_text(j, "prefix", p->prefix);
    json_number(j, "since_ms", p->since_ms);
    json_number(j, "wall_ms", p->wall_ms);
    json_text(j, "operator", p->operator_name);
    json_text(j, "reason", p->reason);
    json_end(j);
}

static const char *const headings[] = {"TOLD UNDER", "SINCE", "WHO", "WHY"};

static const struct listing prefixes_listing = {
    .name = "prefixes",
    .headings = headings,
    .heading_count = (int)HF_ARRAY_COUNT(headings),
    .print = print_prefix,
    .print_json = print_prefix_json,
};

static int list_prefixes(struct cli *cli)
{
    struct arena arena = {.data = NULL};
    struct msg_empty request = {0};
    struct msg_event_prefixes_reply reply;
    int rv = reading_open(cli, &arena);
    if (rv != CLI_OK) return rv;
    int status = raw_call(cli->client, OP_CODE_EVENT_PREFIXES, &request, &arena, &reply);
    if (status == HF_OK)
        listing_show(&prefixes_listing, cli, &reply.prefixes, sizeof(struct event_prefix_line));
    arena_close(&arena);
    return status == HF_OK ? CLI_OK : cli_fail_status(cli, status, "list the prefixes");
}

static int switch_prefix(struct cli *cli, const char *prefix, bool on, const struct act *act)
{
    int rv = cli_open(cli, 0, 0, NULL);
    if (rv != CLI_OK) return rv;
    hf_request request = {.id = 0};
    int status = act_insist(
        hf_events_switch(cli->client, prefix, on, act->reason, act->operator_name, &request),
        &request);
    if (status == HF_EQUOTA)
        return cli_fail(CLI_TRY_AGAIN,
                        "\"%s\" was not switched on: 64 prefixes are; switch one of `holdfast "
                        "events list` off",
                        prefix);
    if (status == HF_ENOTFOUND)
        return cli_fail(CLI_ABSENT,
                        "\"%s\" was not switched off: it is not on; `holdfast events list` shows "
                        "what is",
                        prefix);
    return status == HF_OK ? CLI_OK : cli_fail_status(cli, status, "switch the events");
}

static int run_events(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct act act = {.reason = NULL};
    const struct arg_option options[] = {
        {.name = "--reason", .text = &act.reason},
        {.name = "--operator", .text = &act.operator_name},
    };
    struct args args;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 1, 2, false);
    if (rv != CLI_OK) return rv;
    bool on = strcmp(args.words[0], "on") == 0;
    if (strcmp(args.words[0], "list") == 0) return list_prefixes(cli);
    if (!on && strcmp(args.words[0], "off") != 0) {
        return cli_fail(CLI_USAGE,
                        "`events` switches \"on\" or \"off\", or lists with \"list\", not "
                        "\"%s\"",
                        args.words[0]);
    }
    rv = args_expect(verb, &args, 2, 2, false);
    if (rv == CLI_OK) rv = name_check(verb, args.words[1], 0);
    if (rv == CLI_OK) rv = act_check(verb, &act);
    return rv == CLI_OK ? switch_prefix(cli, args.words[1], on, &act) : rv;
}

const struct verb verb_events = {
    .name = "events",
    .synopsis = "list | on PREFIX --reason TEXT --operator NAME\n"
                "             | off PREFIX --reason TEXT --operator NAME",
    .summary = "under which prefixes all events are told",
    .help = "  on PREFIX         tell what is told only on request (see `watch`) of locks, records "
            "and\n"
            "                    timers whose name begins with it; \"\" for all\n"
            "  off PREFIX        no more\n"
            "  list              the prefixes that are on, since when and why\n"
            "  --reason TEXT     why; kept, at most 1,024 bytes\n"
            "  --operator NAME   who decides; kept\n"
            "At most 64 prefixes can be on. With --json: {prefixes: [{prefix, since_ms, wall_ms,\n"
            "  operator, reason}]}.\n",
    .run = run_events,
};
