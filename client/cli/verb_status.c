/* status: which server leads, who the members are, how far they have come. Any server answers it;
 * it opens no session and writes nothing. sessions: who is connected, with what lease. */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/args.h"
#include "client/cli/listing.h"
#include "client/cli/words.h"

static void print_member_json(struct json *j, const struct member *m)
{
    json_object(j, NULL);
    json_number(j, "id", m->id);
    json_text(j, "peer", m->peer);
    json_text(j, "client", m->client);
    json_text(j, "role", slice_of(word_of_role(m->role)));
    json_bool(j, "reachable", m->reachable != 0);
    json_end(j);
}

static void print_status_json(const struct msg_status_reply *s, const char *server)
{
    struct json j = {.depth = 0};
    const struct member *members = s->members.items;
    json_object(&j, NULL);
    if (s->leader_id != 0) {
        json_object(&j, "leader");
        json_number(&j, "id", s->leader_id);
        json_text(&j, "client", s->leader_client);
        json_end(&j);
    } else {
        json_null(&j, "leader");
    }
    json_array(&j, "members");
    for (uint32_t i = 0; i < s->members.count; i++) print_member_json(&j, &members[i]);
    json_end(&j);
    json_number(&j, "term", s->term);
    json_number(&j, "commit_index", s->commit_index);
    json_number(&j, "applied_index", s->applied_index);
    json_number(&j, "durable_index", s->durable_index);
    json_number(&j, "cluster_time_ms", s->cluster_time_ms);
    json_number(&j, "wall_ms", s->wall_ms);
    json_number(&j, "answered_by", s->node_id);
    json_text(&j, "server", slice_of(server));
    json_text(&j, "version", s->version);
    json_number(&j, "sessions", s->session_count);
    json_number(&j, "locks", s->lock_count);
    json_number(&j, "waiters", s->waiter_count);
    json_number(&j, "records", s->record_count);
    json_object(&j, "refused");
    json_number(&j, "rate", s->rate_refused_count);
    json_number(&j, "cap", s->cap_refused_count);
    json_number(&j, "space", s->space_refused_count);
    json_number(&j, "load", s->load_refused_count);
    json_end(&j);
    json_number(&j, "held", s->held_count);
    json_number(&j, "deadlock_unknown", s->deadlock_unknown_count);
    json_text(&j, "short_of_space", s->shortage);
    json_end(&j);
}

static void print_status(const struct msg_status_reply *s, const char *server)
{
    static const char *const headings[] = {">ID", "ROLE", "CLIENT", "PEER", "REACHABLE", ""};
    const struct member *members = s->members.items;
    char age[24];
    printf("server %" PRIu64 " at %s, version %.*s\n", s->node_id, server, (int)s->version.size,
           (const char *)s->version.data);
    if (s->leader_id == 0) printf("no leader is known just now\n");
    printf("term %" PRIu64 ", committed %" PRIu64 ", applied %" PRIu64 ", on disk %" PRIu64
           ", cluster time %s\n",
           s->term, s->commit_index, s->applied_index, s->durable_index,
           text_of_ms(s->cluster_time_ms, age));
    printf("%" PRIu64 " sessions, %" PRIu64 " locks, %" PRIu64 " waiters, %" PRIu64 " records\n",
           s->session_count, s->lock_count, s->waiter_count, s->record_count);
    printf("refused here since its start: %" PRIu64 " for a rate, %" PRIu64 " for a cap, %" PRIu64
           " for space, %" PRIu64 " for load; held back %" PRIu64 "\n",
           s->rate_refused_count, s->cap_refused_count, s->space_refused_count,
           s->load_refused_count, s->held_count);
    if (s->deadlock_unknown_count > 0)
        printf("searches for a deadlock that gave up: %" PRIu64 "\n", s->deadlock_unknown_count);
    if (s->shortage.size > 0)
        printf("SHORT OF SPACE: %.*s\n", (int)s->shortage.size, (const char *)s->shortage.data);
    printf("\n");
    struct table t;
    table_open(&t, headings, (int)HF_ARRAY_COUNT(headings));
    for (uint32_t i = 0; i < s->members.count; i++) {
        table_cell(&t, "%" PRIu64, members[i].id);
        table_cell(&t, "%s", word_of_role(members[i].role));
        table_text(&t, members[i].client);
        table_text(&t, members[i].peer);
        table_cell(&t, "%s", members[i].reachable ? "yes" : "no");
        table_cell(&t, "%s", members[i].id == s->leader_id ? "leader" : " ");
    }
    table_close(&t);
}

static int run_status(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct args args;
    struct arena arena = {.data = NULL};
    int rv = args_parse(cli, verb, argc, argv, NULL, 0, &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 0, 0, false);
    if (rv == CLI_OK) rv = reading_open(cli, &arena);
    if (rv != CLI_OK) return rv;

    struct msg_empty request = {0};
    struct msg_status_reply status;
    char server[ADDRESS_BYTES_MAX + 1] = "?";
    int called = raw_call(cli->client, OP_CODE_STATUS, &request, &arena, &status);
    (void)raw_endpoint(cli->client, server);
    if (called != HF_OK) {
        rv = cli_fail_status(cli, called, "ask for the status");
    } else if (cli->json) {
        print_status_json(&status, server);
    } else {
        print_status(&status, server);
    }
    arena_close(&arena);
    return rv;
}

const struct verb verb_status = {
    .name = "status",
    .synopsis = "",
    .summary = "the leader, the members, how far the log has come",
    .help =
        "Asks the first server that answers. With --json:\n"
        "  {leader: {id, client}, members: [{id, peer, client, role, reachable}], term,\n"
        "   commit_index, applied_index, cluster_time_ms, ...}; leader is null if none is known.\n"
        "What was refused is the answering server's own: the leader's is what counts.\n",
    .run = run_status,
};

/* ------------------------------------------------------------------ sessions */

static void print_session_json(struct json *j, const void *line)
{
    const struct session_line *s = line;
    json_object(j, NULL);
    json_token(j, "session", s->session);
    json_text(j, "client_name", s->client_name);
    json_text(j, "peer", s->peer);
    json_number(j, "ttl_ms", s->ttl_ms);
    json_number(j, "left_ms", s->left_ms);
    json_number(j, "since_ms", s->since_ms);
    json_number(j, "grants", s->grant_count);
    json_number(j, "waiters", s->waiter_count);
    json_number(j, "attempts", s->attempt_count);
    json_text(j, "ended", slice_of(word_of_reason(s->ended)));
    json_end(j);
}

static void print_session(struct table *t, const void *line)
{
    const struct session_line *s = line;
    char left[24];
    char ttl[24];
    table_cell(t, "%" PRIu64, s->session);
    table_text(t, s->client_name);
    table_text(t, s->peer);
    table_cell(t, "%s", text_of_ms(s->ttl_ms, ttl));
    table_cell(t, "%s", s->ended != 0 ? word_of_reason(s->ended) : text_of_ms(s->left_ms, left));
    table_cell(t, "%" PRIu64, s->grant_count);
    table_cell(t, "%" PRIu64, s->waiter_count);
    table_cell(t, "%" PRIu64, s->attempt_count);
}

static bool is_live(const void *line)
{
    return ((const struct session_line *)line)->ended == 0;
}

static const char *const session_headings[] = {">SESSION", "CLIENT",  "PEER",   ">TTL",
                                               ">LEFT",    ">GRANTS", ">WAITS", ">ATTEMPTS"};

static const struct listing sessions_listing = {
    .op = OP_CODE_SESSION_LIST,
    .name = "sessions",
    .headings = session_headings,
    .heading_count = (int)HF_ARRAY_COUNT(session_headings),
    .print = print_session,
    .print_json = print_session_json,
    .shows = is_live,
};

static int run_sessions(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    bool all = false;
    const struct arg_option options[] = {{.name = "--all", .flag = &all}};
    struct args args;
    struct arena arena = {.data = NULL};
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 0, 0, false);
    if (rv == CLI_OK) rv = reading_open(cli, &arena);
    if (rv != CLI_OK) return rv;

    struct msg_session_list request = {.count_max = PAGE_ITEMS_MAX};
    struct listing listing = sessions_listing;
    if (all) listing.shows = NULL;
    rv = listing_run(&listing, cli, &request, &arena);
    arena_close(&arena);
    return rv;
}

const struct verb verb_sessions = {
    .name = "sessions",
    .synopsis = "[--all]",
    .summary = "who is connected, with how much of the lease left",
    .help = "  --all   ended ones too, for the 10 minutes that they are remembered\n"
            "With --json: {sessions: [{session, client_name, peer, ttl_ms, left_ms, since_ms,\n"
            "  grants, waiters, attempts, ended}]}; ended is \"\" for a live one.\n",
    .run = run_sessions,
};
