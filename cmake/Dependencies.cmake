find_package(PkgConfig REQUIRED)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(RAFT REQUIRED IMPORTED_TARGET raft)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
if(RAFT_VERSION VERSION_LESS 0.22.1)
    message(FATAL_ERROR
        "libraft ${RAFT_VERSION} is too old: holdfast needs 0.22.1 or newer. Older ones commit "
        "entries of earlier terms by counting replicas (the Raft paper's Figure 8), which loses "
        "acknowledged data after two leader changes. ./check installs the right one.")
endif()
if(BUILD_TESTING)
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
    pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
else()
    pkg_check_modules(JANSSON IMPORTED_TARGET jansson) # for holdfast-jepsen alone
endif()
