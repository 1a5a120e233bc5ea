#include "client/cli/words.h"

#include <string.h>
#include <strings.h>

#include "protocol/scan.h"

static const char *const states[] = {"ABSENT",    "RUNNING", "DONE",     "FAILED",
                                     "RETRYABLE", "UNKNOWN", "TOMBSTONE"};
_Static_assert(HF_ARRAY_COUNT(states) == RECORD_STATE_MAX + 1, "a word for each state");

static const char *const reasons[] = {"",          "released", "expired", "closed",
                                      "abandoned", "hold_max", "forced",  "restored"};
_Static_assert(HF_ARRAY_COUNT(reasons) == END_REASON_MAX + 1, "a word for each reason");

static const char *pick(const char *const *words, size_t count, uint64_t number)
{
    return number < count ? words[number] : "?";
}

const char *word_of_mode(uint64_t mode)
{
    static const char *const words[] = {"exclusive", "shared", "permits"};
    return pick(words, HF_ARRAY_COUNT(words), mode);
}

const char *word_of_state(uint64_t state)
{
    return pick(states, HF_ARRAY_COUNT(states), state);
}

const char *word_of_reason(uint64_t reason)
{
    return pick(reasons, HF_ARRAY_COUNT(reasons), reason);
}

const char *word_of_transition(uint64_t what)
{
    static const char *const words[] = {"?", "granted", "ended", "downgraded", "upgraded"};
    _Static_assert(HF_ARRAY_COUNT(words) == TRANSITION_MAX + 1, "a word a transition");
    return pick(words, HF_ARRAY_COUNT(words), what);
}

const char *word_of_mark(uint64_t mark)
{
    static const char *const words[] = {"none", "once", "derived"};
    return pick(words, HF_ARRAY_COUNT(words), mark);
}

const char *word_of_body(uint64_t kind)
{
    static const char *const words[] = {"whole", "omitted", "reference", "erased"};
    _Static_assert(HF_ARRAY_COUNT(words) == BODY_KIND_MAX + 1, "a word a kind");
    return pick(words, HF_ARRAY_COUNT(words), kind);
}

const char *word_of_asked(uint64_t asked)
{
    switch (asked) {
    case ASKED_NOT: return "";
    case ASKED_BACK: return "asked";
    case ASKED_OVERDUE: return "overdue";
    default: return "?";
    }
}

const char *word_of_act(uint64_t op)
{
    switch (op) {
    case 0: return "";
    case OP_CODE_RESOLVE: return "resolve";
    case OP_CODE_REOPEN: return "reopen";
    case OP_CODE_ERASE: return "erase";
    case OP_CODE_CONFIG_SET: return "config set";
    case OP_CODE_FORCE: return "force";
    case OP_CODE_REVOKE: return "revoke";
    case OP_CODE_TIMER_REQUEUE: return "timer requeue";
    case OP_CODE_EVENTS_SWITCH: return "events switch";
    case OP_CODE_FREEZE: return "freeze";
    case OP_CODE_THAW: return "thaw";
    default: return "?";
    }
}

const char *word_of_takeover(uint64_t policy)
{
    static const char *const words[] = {"auto", "manual", "never"};
    return pick(words, HF_ARRAY_COUNT(words), policy);
}

const char *word_of_role(uint64_t role)
{
    static const char *const words[] = {"voter", "standby", "spare"};
    return pick(words, HF_ARRAY_COUNT(words), role);
}

int reading_open(struct cli *cli, struct arena *arena)
{
    if (arena_init(arena, RAW_ARENA_BYTES) != HF_OK) {
        return cli_fail(CLI_SYSTEM, "there is no memory for an answer; free some on this machine");
    }
    int rv = cli_open(cli, 0, READING_TIMEOUT_MS, NULL);
    if (rv != CLI_OK) arena_close(arena);
    return rv;
}

int name_check(const struct verb *verb, const char *name, size_t min)
{
    size_t size = strlen(name);
    if (size < min || size > NAME_BYTES_MAX) {
        return cli_fail(CLI_USAGE, "`%s` was given a name of %zu bytes; names have %zu to %d bytes",
                        verb->name, size, min, NAME_BYTES_MAX);
    }
    if (scan_is_text(slice_of(name))) return CLI_OK;
    return cli_fail(CLI_USAGE, "`%s` was given a name that is not UTF-8: \"%s\"", verb->name, name);
}

int state_check(const char *word, uint64_t *state)
{
    *state = RECORD_ABSENT;
    if (word == NULL) return CLI_OK;
    for (size_t i = 1; i < HF_ARRAY_COUNT(states); i++) {
        if (strcasecmp(states[i], word) != 0) continue;
        *state = i;
        return CLI_OK;
    }
    return cli_fail(CLI_USAGE,
                    "there is no state \"%s\"; use RUNNING, DONE, FAILED, RETRYABLE, UNKNOWN or "
                    "TOMBSTONE",
                    word);
}
