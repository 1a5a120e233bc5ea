/* Whatever comes into the log has an owner: an op without one would stop every server that applies
 * it, and so would a deadline of a kind that nobody sweeps. */
#include "machine/dispatch.h"
#include "protocol/ops.h"
#include "tests/unit/cmocka_all.h"

/* A write is applied, a read is read, and never the other way round; the door's own ops have no
 * owner here. */
static void test_every_op_is_owned_by_its_traits(void **state)
{
    (void)state;
    unsigned writes = 0;
    unsigned reads = 0;
    for (uint16_t code = 0; code <= OP_CODE_MAX; code++) {
        const struct op_info *info = op_find(code);
        const struct op_owner *owner = op_owner_find(code);
        if (info == NULL || (info->traits & OP_DOOR) != 0) {
            assert_null(owner);
            continue;
        }
        if (owner == NULL) fail_msg("%s has no owner in machine/dispatch.c", info->name);
        bool is_write = (info->traits & OP_WRITE) != 0;
        bool is_read = (info->traits & OP_READ) != 0;
        if ((owner->apply != NULL) != is_write || (owner->read != NULL) != is_read) {
            fail_msg("%s: what owns it is not what its traits say", info->name);
        }
        writes += is_write;
        reads += is_read;
    }
    assert_true(writes > 0);
    assert_true(reads > 0);
}

static void test_every_deadline_is_swept(void **state)
{
    (void)state;
    for (unsigned kind = DEADLINE_SESSION; kind <= DEADLINE_KIND_MAX; kind++) {
        const struct deadline_owner *owner = deadline_owner_find((enum deadline_kind)kind);
        assert_non_null(owner->due); /* and asserted by deadline_owner_find() */
        assert_in_range(owner->phase, 0, SWEEP_PHASES - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op_is_owned_by_its_traits),
        cmocka_unit_test(test_every_deadline_is_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
