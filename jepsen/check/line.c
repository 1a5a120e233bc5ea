/* One line of a history: JSON by jansson, and then every field by the tables below, which are the
 * tables of docs/history-format.md. What is not in them is refused, so that a field that was
 * misspelt by who wrote the history does not go unnoticed and weaken the check. */
#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <string.h>

#include "base/status.h"
#include "jepsen/check/history.h"

/* ------------------------------------------------------------------ the format's words */

struct word {
    const char *text;
    int value;
};

static const struct word outcomes[] = {
    {"ok", RESULT_OK}, {"fail", RESULT_FAIL}, {"unknown", RESULT_UNKNOWN}, {NULL, 0}};

static const struct word modes[] = {
    {"exclusive", HELD_EXCLUSIVE}, {"shared", HELD_SHARED}, {"permits", HELD_PERMITS}, {NULL, 0}};

static const struct word policies[] = {
    {"auto", POLICY_AUTO}, {"manual", POLICY_MANUAL}, {"never", POLICY_NEVER}, {NULL, 0}};

static const struct word ends[] = {
    {"done", END_AS_DONE}, {"failed", END_AS_FAILED}, {"retryable", END_AS_RETRYABLE}, {NULL, 0}};

static const struct word check_statuses[] = {
    {"valid", STATUS_VALID}, {"stale", STATUS_STALE}, {"free", STATUS_FREE}, {NULL, 0}};

static const struct word begin_statuses[] = {{"started", STATUS_STARTED},
                                             {"takeover", STATUS_TAKEOVER},
                                             {"in_progress", STATUS_IN_PROGRESS},
                                             {"completed", STATUS_COMPLETED},
                                             {NULL, 0}};

static const struct word get_statuses[] = {{"none", STATUS_NONE},
                                           {"in_progress", STATUS_IN_PROGRESS},
                                           {"completed", STATUS_COMPLETED},
                                           {"retryable", STATUS_RETRYABLE},
                                           {"unknown", STATUS_UNKNOWN},
                                           {"expired", STATUS_EXPIRED},
                                           {NULL, 0}};

static const char *const errors_of_nothing[] = {
    "timeout",   "not_sent", "not_leader",  "overloaded", "refused",  "shutdown",
    "too_large", "denied",   "bad_request", "no_space",   "canceled", NULL};

/* What is in version 2 only, by value. */
static bool is_of_version_2(enum operation_status status)
{
    return status == STATUS_TAKEOVER || status == STATUS_RETRYABLE || status == STATUS_UNKNOWN ||
           status == STATUS_EXPIRED;
}

struct kind {
    const char *model;
    const char *op;
    enum operation_kind kind;
    int version; /* the first that has it */
};

static const struct kind kinds[] = {
    {"lock", "acquire", KIND_ACQUIRE, 1},   {"lock", "renew", KIND_LOCK_RENEW, 1},
    {"lock", "release", KIND_RELEASE, 1},   {"lock", "query", KIND_QUERY, 1},
    {"lock", "check", KIND_CHECK, 2},       {"lock", "downgrade", KIND_DOWNGRADE, 2},
    {"lock", "upgrade", KIND_UPGRADE, 2},   {"idem", "begin", KIND_BEGIN, 1},
    {"idem", "complete", KIND_COMPLETE, 1}, {"idem", "renew", KIND_RENEW, 1},
    {"idem", "abandon", KIND_ABANDON, 1},   {"idem", "checkpoint", KIND_CHECKPOINT, 2},
    {"idem", "resolve", KIND_RESOLVE, 2},   {"idem", "reopen", KIND_REOPEN, 2},
    {"idem", "get", KIND_GET, 1},           {"fencedreg", "write", KIND_WRITE, 1},
    {"fencedreg", "read", KIND_READ, 1},
};

struct failure {
    const char *text;
    enum operation_error error;
    uint32_t kinds; /* that may fail so */
    int version;
};

#define OF(kind) (UINT32_C(1) << KIND_##kind)

static const struct failure failures[] = {
    {"busy", ERROR_BUSY, OF(ACQUIRE) | OF(UPGRADE), 1},
    {"already_held", ERROR_ALREADY_HELD, OF(ACQUIRE), 2},
    {"deadlock", ERROR_DEADLOCK, OF(ACQUIRE), 2},
    {"not_held", ERROR_NOT_HELD, OF(LOCK_RENEW) | OF(RELEASE) | OF(DOWNGRADE) | OF(UPGRADE), 1},
    {"mismatch", ERROR_MISMATCH, OF(BEGIN), 1},
    {"unknown", ERROR_RECORD_UNKNOWN, OF(BEGIN), 2},
    {"key_expired", ERROR_KEY_EXPIRED, OF(BEGIN), 2},
    {"stale_token", ERROR_STALE_TOKEN,
     OF(COMPLETE) | OF(RENEW) | OF(ABANDON) | OF(CHECKPOINT) | OF(RESOLVE) | OF(REOPEN) | OF(WRITE),
     1},
    {"conflict", ERROR_CONFLICT, OF(COMPLETE), 1},
    {"seq_old", ERROR_SEQ_OLD, OF(CHECKPOINT), 2},
    {"not_found", ERROR_NOT_FOUND, OF(RESOLVE) | OF(REOPEN), 2},
    {"bad_state", ERROR_BAD_STATE, OF(REOPEN), 2},
};

/* ------------------------------------------------------------------ the format's fields */

enum section { ARGS, ON_OK, ON_FAIL };

enum field_type { INTEGER, FLAG, TEXT, WORD, NAMES, OWNERS };

struct field {
    enum section section;
    const char *name;
    enum field_type type;
    size_t at;      /* in struct operation */
    uint32_t kinds; /* of operations that have it */
    int version;
    bool needed;
    int64_t least; /* INTEGER */
    int64_t most;
    const struct word *words; /* WORD */
};

#define AT(member) offsetof(struct operation, member)
#define INT(section, name, member, kinds, version, needed, least, most)               \
    {                                                                                 \
        section, name, INTEGER, AT(member), kinds, version, needed, least, most, NULL \
    }
#define STR(section, name, member, kinds, version, needed)                  \
    {                                                                       \
        section, name, TEXT, AT(member), kinds, version, needed, 0, 0, NULL \
    }
#define BIT(section, name, member, kinds, version, needed)                  \
    {                                                                       \
        section, name, FLAG, AT(member), kinds, version, needed, 0, 0, NULL \
    }
#define ONE(section, name, member, kinds, version, needed, words)            \
    {                                                                        \
        section, name, WORD, AT(member), kinds, version, needed, 0, 0, words \
    }

#define LIST(section, name, type, kinds, version)                 \
    {                                                             \
        section, name, type, 0, kinds, version, false, 0, 0, NULL \
    }

enum { COUNT_MAX = 65535, ATTEMPT_MAX = INT32_MAX, PERMITS_MAX = 1000000 };

#define WITH_TOKEN                                                                         \
    (OF(LOCK_RENEW) | OF(CHECK) | OF(DOWNGRADE) | OF(UPGRADE) | OF(COMPLETE) | OF(RENEW) | \
     OF(ABANDON) | OF(CHECKPOINT) | OF(RESOLVE) | OF(REOPEN) | OF(WRITE))
#define OF_HOLDERS (OF(LOCK_RENEW) | OF(RELEASE) | OF(DOWNGRADE) | OF(UPGRADE))
#define WITH_TTL   (OF(ACQUIRE) | OF(LOCK_RENEW) | OF(BEGIN) | OF(RENEW))

static const struct field fields[] = {
    INT(ARGS, "ttl_ms", ttl_ms, WITH_TTL, 1, true, 0, HISTORY_MS_MAX),
    INT(ARGS, "token", token, WITH_TOKEN, 1, true, 1, INT64_MAX),
    INT(ARGS, "token", token, OF(RELEASE), 1, false, 1, INT64_MAX),
    STR(ARGS, "owner", owner, OF(ACQUIRE) | OF_HOLDERS | OF(BEGIN), 1, false),
    LIST(ARGS, "names", NAMES, OF(ACQUIRE) | OF_HOLDERS, 2),
    INT(ARGS, "permits", permits, OF(ACQUIRE), 2, false, 1, PERMITS_MAX),
    INT(ARGS, "limit", limit, OF(ACQUIRE), 2, false, 1, PERMITS_MAX),
    ONE(ARGS, "mode", mode, OF(ACQUIRE), 2, false, modes),
    BIT(ARGS, "reentrant", reentrant, OF(ACQUIRE), 2, false),
    BIT(ARGS, "all", all, OF(RELEASE), 2, false),
    BIT(ARGS, "if_any", if_any, OF(RELEASE) | OF(ABANDON), 2, false),
    STR(ARGS, "fingerprint", fingerprint, OF(BEGIN), 1, true),
    STR(ARGS, "response", response, OF(COMPLETE) | OF(RESOLVE), 1, false),
    INT(ARGS, "retain_ms", retain_ms, OF(COMPLETE), 1, false, 0, HISTORY_MS_MAX),
    INT(ARGS, "retain_ms", retain_ms, OF(BEGIN), 2, false, 0, HISTORY_MS_MAX),
    ONE(ARGS, "takeover", policy, OF(BEGIN), 2, false, policies),
    ONE(ARGS, "outcome", end, OF(COMPLETE), 2, false, ends),
    ONE(ARGS, "outcome", end, OF(RESOLVE) | OF(REOPEN), 2, true, ends),
    INT(ARGS, "number", number, OF(CHECKPOINT), 2, true, 1, INT64_MAX),
    INT(ARGS, "mark", mark, OF(CHECKPOINT), 2, false, 0, 2),
    STR(ARGS, "value", value, OF(WRITE), 1, true),

    INT(ON_OK, "token", token, OF(ACQUIRE), 1, true, 1, INT64_MAX),
    INT(ON_OK, "token", token, OF(BEGIN), 1, false, 1, INT64_MAX),
    INT(ON_OK, "ttl_ms", ttl_ms, OF(ACQUIRE), 1, false, 0, HISTORY_MS_MAX),
    INT(ON_OK, "count", count, OF(ACQUIRE), 2, false, 1, COUNT_MAX),
    INT(ON_OK, "count", count, OF(RELEASE), 2, false, 0, COUNT_MAX),
    BIT(ON_OK, "held", held, OF(QUERY), 1, true),
    STR(ON_OK, "owner", shown_owner, OF(QUERY) | OF(BEGIN), 1, false),
    INT(ON_OK, "token", shown_token, OF(QUERY), 1, false, 1, INT64_MAX),
    INT(ON_OK, "token", shown_token, OF(GET), 2, false, 1, INT64_MAX),
    ONE(ON_OK, "status", status, OF(CHECK), 2, true, check_statuses),
    ONE(ON_OK, "status", status, OF(BEGIN), 1, true, begin_statuses),
    ONE(ON_OK, "status", status, OF(GET), 1, true, get_statuses),
    STR(ON_OK, "response", response, OF(BEGIN) | OF(GET), 1, false),
    INT(ON_OK, "attempt", attempt, OF(BEGIN), 2, false, 1, ATTEMPT_MAX),
    STR(ON_OK, "value", value, OF(READ), 1, true),

    LIST(ON_FAIL, "cycle", OWNERS, OF(ACQUIRE), 2),
    BIT(ON_FAIL, "cut", cycle_is_cut, OF(ACQUIRE), 2, false),
    STR(ON_FAIL, "owner", shown_owner, OF(ACQUIRE), 1, false),
    INT(ON_FAIL, "token", shown_token, OF(ACQUIRE), 1, false, 1, INT64_MAX),
    INT(ON_FAIL, "token", shown_token, OF(BEGIN), 2, false, 1, INT64_MAX),
};

#undef INT
#undef STR
#undef BIT
#undef ONE
#undef LIST

/* ------------------------------------------------------------------ one value */

static int read_integer(struct history *h, const char *name, const json_t *value, int64_t least,
                        int64_t most, int64_t *out)
{
    if (!json_is_integer(value)) return history_refuse(h, "\"%s\" is not an integer", name);
    int64_t number = json_integer_value(value);
    if (number < least || number > most)
        return history_refuse(h, "\"%s\" is %" PRId64 ", and not from %" PRId64 " to %" PRId64,
                              name, number, least, most);
    *out = number;
    return HF_OK;
}

static int read_text(struct history *h, const char *name, const json_t *value, size_t least,
                     size_t most, uint32_t *out)
{
    if (!json_is_string(value)) return history_refuse(h, "\"%s\" is not a string", name);
    struct slice text = slice_make(json_string_value(value), json_string_length(value));
    if (text.size < least || text.size > most)
        return history_refuse(h, "\"%s\" has %zu bytes, and not %zu to %zu", name, text.size, least,
                              most);
    return strings_add(&h->strings, text, out);
}

static int read_word(struct history *h, const char *name, const json_t *value,
                     const struct word *words, uint8_t *out)
{
    if (!json_is_string(value)) return history_refuse(h, "\"%s\" is not a string", name);
    const char *text = json_string_value(value);
    for (const struct word *w = words; w->text != NULL; w++) {
        if (strcmp(w->text, text) != 0) continue;
        *out = (uint8_t)w->value;
        return HF_OK;
    }
    return history_refuse(h, "\"%s\" is \"%.40s\", which is none of its words", name, text);
}

static int read_flag(struct history *h, const struct field *field, const json_t *value, bool *out)
{
    if (strcmp(field->name, "held") == 0) {
        if (!json_is_boolean(value)) return history_refuse(h, "\"held\" is not true or false");
        *out = json_is_true(value);
        return HF_OK;
    }
    int64_t number = 0;
    int rv = read_integer(h, field->name, value, 0, 1, &number);
    if (rv == HF_OK) *out = number == 1;
    return rv;
}

/* Several names at once (of this line there will be an operation for each), or a cycle of owners.
 */
static int read_list(struct history *h, const char *what, const json_t *value,
                     uint32_t list[HISTORY_NAMES_MAX], size_t *size)
{
    size_t count = json_array_size(value);
    if (count < 2 || count > HISTORY_NAMES_MAX)
        return history_refuse(h, "\"%s\" is not an array of 2 to %d names", what,
                              HISTORY_NAMES_MAX);
    for (size_t i = 0; i < count; i++) {
        int rv = read_text(h, what, json_array_get(value, i), 1, HISTORY_KEY_BYTES_MAX, &list[i]);
        if (rv != HF_OK) return rv;
        for (size_t before = 0; before < i; before++) {
            if (list[before] == list[i]) return history_refuse(h, "\"%s\" has one twice", what);
        }
    }
    *size = count;
    return HF_OK;
}

static int read_field(struct history *h, const struct field *field, const json_t *value,
                      struct operation *op)
{
    uint8_t *at = (uint8_t *)op + field->at;
    int64_t number = 0;
    uint8_t byte = 0;
    int rv;
    switch (field->type) {
    case FLAG: return read_flag(h, field, value, (bool *)at);
    case TEXT: {
        uint32_t text = 0;
        if (op->kind == KIND_READ && json_is_null(value)) return HF_OK;
        rv = read_text(h, field->name, value, 0, HISTORY_STRING_BYTES_MAX, &text);
        if (rv == HF_OK) memcpy(at, &text, sizeof text);
        return rv;
    }
    case WORD:
        rv = read_word(h, field->name, value, field->words, &byte);
        if (rv == HF_OK) *at = byte;
        return rv;
    case NAMES: return read_list(h, field->name, value, h->names, &h->name_count);
    case OWNERS: return read_list(h, field->name, value, h->cycle, &h->cycle_count);
    case INTEGER: break;
    }
    rv = read_integer(h, field->name, value, field->least, field->most, &number);
    if (rv != HF_OK) return rv;
    if (field->at == AT(mark)) {
        *at = (uint8_t)number;
    } else {
        memcpy(at, &number, sizeof number);
    }
    return HF_OK;
}

static const struct field *find_field(const struct operation *op, enum section section,
                                      const char *name)
{
    for (size_t i = 0; i < HF_ARRAY_COUNT(fields); i++) {
        const struct field *f = &fields[i];
        if (f->section == section && (f->kinds >> op->kind & 1) != 0 && f->version <= op->version &&
            strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

static const char *const section_names[] = {
    [ARGS] = "args", [ON_OK] = "result", [ON_FAIL] = "result"};

static int read_section(struct history *h, enum section section, json_t *object,
                        struct operation *op)
{
    const char *name;
    json_t *value;
    if (object != NULL && !json_is_object(object))
        return history_refuse(h, "\"%s\" is not an object", section_names[section]);
    json_object_foreach(object, name, value)
    {
        const struct field *field = find_field(op, section, name);
        if (field == NULL)
            return history_refuse(h,
                                  "\"%.40s\" in \"%s\" is no field of this operation in version "
                                  "%d",
                                  name, section_names[section], op->version);
        int rv = read_field(h, field, value, op);
        if (rv != HF_OK) return rv;
    }
    for (size_t i = 0; i < HF_ARRAY_COUNT(fields); i++) {
        const struct field *f = &fields[i];
        if (!f->needed || f != find_field(op, section, f->name)) continue;
        if (json_object_get(object, f->name) == NULL)
            return history_refuse(h, "\"%s\" needs \"%s\"", section_names[section], f->name);
    }
    return HF_OK;
}

/* ------------------------------------------------------------------ one line */

static int read_error(struct history *h, json_t *line, struct operation *op)
{
    const char *text = json_string_value(json_object_get(line, "error"));
    if (text == NULL) return history_refuse(h, "a fail needs \"error\", a string");
    for (size_t i = 0; errors_of_nothing[i] != NULL; i++) {
        if (strcmp(errors_of_nothing[i], text) == 0) op->error = ERROR_NOTHING;
    }
    for (size_t i = 0; i < HF_ARRAY_COUNT(failures); i++) {
        const struct failure *f = &failures[i];
        if (strcmp(f->text, text) == 0 && (f->kinds >> op->kind & 1) != 0 &&
            f->version <= op->version)
            op->error = (uint8_t)f->error;
    }
    if (op->error == ERROR_NONE)
        return history_refuse(h, "\"%.40s\" is no error of this operation in version %d", text,
                              op->version);
    return HF_OK;
}

static int read_outcome(struct history *h, json_t *line, struct operation *op)
{
    json_t *result = json_object_get(line, "result");
    json_t *ret = json_object_get(line, "ret");
    bool no_ret = ret == NULL || json_is_null(ret);
    int rv = read_word(h, "outcome", json_object_get(line, "outcome"), outcomes, &op->outcome);
    if (rv != HF_OK) return rv;
    if (no_ret != (op->outcome == RESULT_UNKNOWN))
        return history_refuse(h, "\"ret\" is null if and only if the outcome is unknown");
    if (!no_ret) rv = read_integer(h, "ret", ret, op->call_ns, HISTORY_NS_MAX, &op->return_ns);
    if (rv != HF_OK) return rv;
    if (op->outcome != RESULT_FAIL && json_object_get(line, "error") != NULL)
        return history_refuse(h, "\"error\" belongs to a fail only");
    switch ((enum operation_outcome)op->outcome) {
    case RESULT_OK: return read_section(h, ON_OK, result, op);
    case RESULT_FAIL:
        rv = read_error(h, line, op);
        if (rv == HF_OK && op->error != ERROR_NOTHING) rv = read_section(h, ON_FAIL, result, op);
        return rv;
    case RESULT_UNKNOWN: break;
    }
    return result == NULL ? HF_OK : history_refuse(h, "what is unknown has no \"result\"");
}

/* What no single field says. */
static int check_whole(struct history *h, const struct operation *op)
{
    bool begin_ok = op->kind == KIND_BEGIN && op->outcome == RESULT_OK;
    bool started = op->status == STATUS_STARTED || op->status == STATUS_TAKEOVER;
    if (op->kind == KIND_RELEASE && op->token == 0 && (op->version == 1 || op->owner == 0))
        return history_refuse(h, "a release needs \"token\", or in version 2 \"owner\"");
    if (op->version == 1 && is_of_version_2((enum operation_status)op->status))
        return history_refuse(h, "this \"status\" belongs to version 2");
    if (begin_ok && started != (op->token != 0))
        return history_refuse(h, "\"token\" belongs to started and takeover, and to them only");
    if (begin_ok && (op->status == STATUS_COMPLETED) != (op->response != 0))
        return history_refuse(h, "\"response\" belongs to completed, and to it only");
    if (op->kind == KIND_GET && op->response != 0 && op->status != STATUS_COMPLETED)
        return history_refuse(h, "\"response\" belongs to completed only");
    bool with_end = op->kind == KIND_COMPLETE || op->kind == KIND_RESOLVE;
    if (with_end && (op->end == END_AS_RETRYABLE) != (op->response == 0))
        return history_refuse(h, "\"response\" is needed, but with retryable it has no place");
    if (op->kind == KIND_COMPLETE && op->version == 2 && op->retain_ms != 0)
        return history_refuse(h, "in version 2 \"retain_ms\" belongs to the begin");
    return HF_OK;
}

static int check_names(struct history *h, struct operation *op)
{
    bool permits = op->mode == HELD_PERMITS;
    if (permits != (op->permits != 0) || permits != (op->limit != 0) || op->permits > op->limit)
        return history_refuse(h, "mode \"permits\", and it alone, has \"permits\" and a \"limit\", "
                                 "which is not less");
    if (h->cycle_count > 0 && op->error != ERROR_DEADLOCK)
        return history_refuse(h, "\"cycle\" belongs to a deadlock only");
    if (h->name_count == 0) return HF_OK;
    if (h->names[0] != op->key) return history_refuse(h, "\"key\" is not the first of \"names\"");
    /* Some name was held: nobody says which. */
    if (op->error == ERROR_BUSY || op->error == ERROR_ALREADY_HELD) op->error = ERROR_NOTHING;
    return HF_OK;
}

static int read_kind(struct history *h, json_t *line, struct operation *op)
{
    const char *name = json_string_value(json_object_get(line, "op"));
    if (name == NULL) return history_refuse(h, "\"op\" is needed, a string");
    for (size_t i = 0; i < HF_ARRAY_COUNT(kinds); i++) {
        const struct kind *k = &kinds[i];
        if (strcmp(k->model, h->model) != 0 || strcmp(k->op, name) != 0) continue;
        if (k->version > op->version) break;
        op->kind = (uint8_t)k->kind;
        return HF_OK;
    }
    return history_refuse(h, "\"%.40s\" is no operation of the model %s in version %d", name,
                          h->model, op->version);
}

static int read_operation(struct history *h, json_t *line, struct operation *op)
{
    int rv = read_kind(h, line, op);
    if (rv == HF_OK) rv = read_integer(h, "id", json_object_get(line, "id"), 0, INT64_MAX, &op->id);
    if (rv == HF_OK)
        rv =
            read_integer(h, "call", json_object_get(line, "call"), 0, HISTORY_NS_MAX, &op->call_ns);
    if (rv == HF_OK)
        rv = read_text(h, "client", json_object_get(line, "client"), 1, HISTORY_STRING_BYTES_MAX,
                       &op->client);
    if (rv == HF_OK)
        rv = read_text(h, "key", json_object_get(line, "key"), 1, HISTORY_KEY_BYTES_MAX, &op->key);
    if (rv == HF_OK) rv = read_section(h, ARGS, json_object_get(line, "args"), op);
    if (rv == HF_OK) rv = read_outcome(h, line, op);
    if (rv == HF_OK) rv = check_whole(h, op);
    if (rv == HF_OK) rv = check_names(h, op);
    if (op->kind == KIND_ACQUIRE && op->owner == 0) op->owner = op->client;
    op->abandoned = strcmp(strings_text(&h->strings, op->response), "failed 0 -") == 0;
    return rv;
}

static int read_header(struct history *h, json_t *line)
{
    json_t *drift = json_object_get(line, "drift_ppm"),
           *margin = json_object_get(line, "margin_ms");
    int64_t margin_ms = 0;
    int rv = HF_OK;
    if (h->has_header) return history_refuse(h, "a second header");
    h->has_header = true;
    if (drift != NULL)
        rv = read_integer(h, "drift_ppm", drift, 0, HISTORY_DRIFT_PPM_MAX, &h->clock.drift_ppm);
    if (rv == HF_OK && margin != NULL)
        rv = read_integer(h, "margin_ms", margin, 0, HISTORY_MS_MAX, &margin_ms);
    h->clock.margin_ns = margin_ms * HISTORY_NS_PER_MS;
    return rv;
}

/* Is it an operation of the model that is checked? */
static int read_type(struct history *h, json_t *line, bool *taken)
{
    static const struct word types[] = {
        {"op", 0}, {"header", 1}, {"nemesis", 2}, {"note", 2}, {NULL, 0}};
    static const struct word models[] = {{"lock", 0}, {"idem", 0}, {"fencedreg", 0}, {NULL, 0}};
    json_t *type = json_object_get(line, "type"), *model = json_object_get(line, "model");
    uint8_t which = 0, ignored;
    int rv = type != NULL ? read_word(h, "type", type, types, &which) : HF_OK;
    if (rv == HF_OK && which == 1) rv = read_header(h, line);
    if (rv != HF_OK || which != 0) return rv;
    if (model != NULL) rv = read_word(h, "model", model, models, &ignored);
    *taken = model == NULL || (rv == HF_OK && strcmp(json_string_value(model), h->model) == 0);
    return rv;
}

static int check_fields(struct history *h, json_t *line, int version)
{
    static const char *const names[] = {"v",      "type", "model", "id",      "client",
                                        "call",   "ret",  "op",    "key",     "args",
                                        "result", "note", "error", "outcome", NULL};
    const char *name;
    json_t *value;
    json_object_foreach(line, name, value)
    {
        size_t i = 0;
        while (names[i] != NULL && strcmp(names[i], name) != 0) i++;
        if (names[i] == NULL || (version == 1 && strcmp(name, "model") == 0))
            return history_refuse(h, "\"%.40s\" is no field of an operation in version %d", name,
                                  version);
        if (strcmp(name, "note") == 0 && !json_is_string(value))
            return history_refuse(h, "\"note\" is not a string");
    }
    return HF_OK;
}

static int read_object(struct history *h, json_t *line, struct operation *op, bool *taken)
{
    int64_t version = 0;
    if (!json_is_object(line)) return history_refuse(h, "not a JSON object");
    int rv = read_integer(h, "v", json_object_get(line, "v"), 1, 2, &version);
    if (rv == HF_OK) rv = read_type(h, line, taken);
    if (rv != HF_OK || !*taken) return rv;
    rv = check_fields(h, line, (int)version);
    if (rv != HF_OK) return rv;
    *op = (struct operation){.version = (uint8_t)version,
                             .line = h->line,
                             .count = -1,
                             .return_ns = OPERATION_NEVER,
                             .shown_until_ns = OPERATION_NEVER,
                             .useful_until_ns = OPERATION_NEVER};
    return read_operation(h, line, op);
}

int history_parse(struct history *h, struct slice bytes, struct operation *out, bool *taken)
{
    json_error_t error;
    *taken = false;
    h->name_count = h->cycle_count = 0;
    json_t *line = json_loadb((const char *)bytes.data, bytes.size, JSON_REJECT_DUPLICATES, &error);
    if (line == NULL)
        return history_refuse(h, "not JSON: %s, at byte %d", error.text, error.position);
    int rv = read_object(h, line, out, taken);
    json_decref(line);
    if (!*taken) h->others++;
    if (rv != HF_OK || !*taken) return rv;
    *taken = out->error != ERROR_NOTHING;
    if (!*taken) h->dropped++;
    return HF_OK;
}
