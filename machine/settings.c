/* The settings' table, their rows, CONFIG_SET and CONFIG_GET. Happy path: all rows are read when
 * the machine is opened; a change writes its row and what was read, in the same op. Failure modes:
 * faults only; a name that is none, a value out of its range or one that somebody else has changed
 * meanwhile is an answer without effect. */
#include "machine/settings.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/planted.h"
#include "machine/acts.h"
#include "machine/events.h"

_Static_assert((int)SETTING_COUNT <= (int)SETTINGS_MAX, "CONFIG_GET answers all of them");

static const struct setting_info infos[SETTING_COUNT] = {
#define SETTING_ROW(NAME, name, min, max, initial, about) {name, min, max, initial, about},
    HF_SETTINGS(SETTING_ROW)
#undef SETTING_ROW
};

const struct setting_info *setting_find(enum setting setting)
{
    HF_ASSERT(setting < SETTING_COUNT);
    return &infos[setting];
}

uint64_t setting_get(const struct machine *m, enum setting setting)
{
    HF_ASSERT(setting < SETTING_COUNT);
    return m->settings[setting].value;
}

uint64_t setting_lowest(const struct machine *m, enum setting setting)
{
    HF_ASSERT(setting < SETTING_COUNT);
    return m->settings[setting].lowest;
}

int settings_load(struct machine *m)
{
    uint64_t found = 0;
    HF_ASSERT(m->session_id == 0);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        const struct setting_info *info = &infos[i];
        struct row_key key = row_key_name(slice_of(info->name));
        m->settings[i] = (struct row_setting){.value = info->initial, .lowest = info->initial};
        int rv =
            state_get(m, TABLE_SETTINGS, row_key_slice(&key), &row_setting_type, &m->settings[i]);
        if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
        found += rv == HF_OK;
    }
    return found == store_count(m->store, TABLE_SETTINGS) ? HF_OK : HF_EVERSION;
}

static bool find_name(struct slice name, unsigned *at)
{
    for (*at = 0; *at < SETTING_COUNT; *at += 1) {
        if (slice_equal(name, slice_of(infos[*at].name))) return true;
    }
    return false;
}

static struct setting_line line_of(const struct machine *m, unsigned at)
{
    const struct setting_info *info = &infos[at];
    return (struct setting_line){
        .name = slice_of(info->name),
        .value = m->settings[at].value,
        .initial = info->initial,
        .min = info->min,
        .max = info->max,
        .changes = m->settings[at].changes,
        .about = slice_of(info->about),
    };
}

int setting_config_set(struct machine *m, const struct op_context *ctx, const void *request,
                       struct reply_out *out)
{
    const struct msg_config_set *set = request;
    HF_ASSERT(set->reason.size >= 1 && set->operator_name.size >= 1);
    HF_ASSERT(m->session_id == ctx->envelope->session);
    unsigned at;
    if (!find_name(set->name, &at))
        return reply_complain(out, ctx->op, "there is no setting of this name; CONFIG_GET has all");
    struct setting_line line = line_of(m, at);
    if (set->value < line.min || set->value > line.max)
        return reply_complain(out, ctx->op, "the value is out of the range that CONFIG_GET shows");
    if (set->compares == 1 && set->expected != line.value)
        return reply_set(out, ctx->op, HF_ECHANGED, &line);

    struct row_setting row = m->settings[at];
    struct msg_config_set_reply reply = {.before = row.value, .changes = row.changes + 1};
    row.value = set->value;
    row.changes += 1;
    if (row.value < row.lowest) row.lowest = row.value;
    struct row_key key = row_key_name(set->name);
    int rv = state_put(m, TABLE_SETTINGS, row_key_slice(&key), &row_setting_type, &row);
    if (rv != HF_OK) return rv;
    if (!planted(SETTINGS_FROM_FILE)) m->settings[at] = row;
    char before[ACT_TEXT_BYTES];
    char after[ACT_TEXT_BYTES];
    (void)snprintf(before, sizeof before, "%" PRIu64, reply.before);
    (void)snprintf(after, sizeof after, "%" PRIu64, row.value);
    const struct act act = {set->name, set->operator_name, set->reason, before, after};
    rv = act_keep(m, ctx, &act);
    if (rv == HF_OK) rv = events_window_changed(m);
    return rv == HF_OK ? reply_set(out, ctx->op, HF_OK, &reply) : rv;
}

int setting_config_get(struct machine *m, const void *request, uint64_t elapsed_ms,
                       struct reply_out *out)
{
    (void)elapsed_ms;
    const struct msg_config_get *get = request;
    HF_ASSERT(get->name.size <= NAME_BYTES_MAX);
    struct setting_line lines[SETTING_COUNT];
    unsigned at = 0;
    if (get->name.size > 0 && !find_name(get->name, &at))
        return reply_complain(out, OP_CODE_CONFIG_GET,
                              "there is no setting of this name; an empty one asks for all");
    uint32_t count = get->name.size > 0 ? 1 : SETTING_COUNT;
    for (uint32_t i = 0; i < count; i++) lines[i] = line_of(m, at + i);
    struct msg_config_reply reply = {.settings = {lines, count}};
    return reply_set(out, OP_CODE_CONFIG_GET, HF_OK, &reply);
}
