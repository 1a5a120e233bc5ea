# What `cmake --install` puts where: headers, libraries, package files, binaries, manual pages, what
# shells complete. The rooms define
# the targets: holdfast_static and holdfast_shared (client/, both with OUTPUT_NAME holdfast),
# holdfast_cli (client/cli/, OUTPUT_NAME holdfast) and holdfastd (server/).
include(CMakePackageConfigHelpers)

install(FILES client/include/holdfast.h client/include/holdfast_admin.h
    client/include/holdfast_async.h client/include/holdfast_lock.h
    client/include/holdfast_metrics.h client/include/holdfast_record.h
    client/include/holdfast_status.h
    client/include/holdfast_tcc.h client/include/holdfast_timer.h
    client/include/holdfast_txn.h client/include/holdfast_watch.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
foreach(target holdfast_static holdfast_shared holdfast_cli holdfastd)
    if(TARGET ${target})
        install(TARGETS ${target}
            RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
            LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
            ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
    endif()
endforeach()

# pkg-config holdfast; --static adds what the archive needs. The prefix is found from the file's own
# place, so that an installation can be moved.
file(RELATIVE_PATH HOLDFAST_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/holdfast.pc.in holdfast.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/holdfast.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# find_package(holdfast): holdfast::holdfast (shared), holdfast::static.
set(HOLDFAST_STATIC_LIBRARIES ${UV_LIBRARIES} crypto pthread)
configure_package_config_file(cmake/holdfastConfig.cmake.in holdfastConfig.cmake
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/holdfast
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR
    NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(holdfastConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/holdfastConfig.cmake
    ${CMAKE_BINARY_DIR}/holdfastConfigVersion.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/holdfast)

# holdfast(1), holdfastd(8), libholdfast(3) and its groups.
install(FILES docs/man/holdfast.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES docs/man/libholdfast.3 docs/man/holdfast_admin.3 docs/man/holdfast_async.3
    docs/man/holdfast_client.3 docs/man/holdfast_lock.3 docs/man/holdfast_metrics.3
    docs/man/holdfast_record.3
    docs/man/holdfast_tcc.3 docs/man/holdfast_timer.3
    docs/man/holdfast_txn.3 docs/man/holdfast_watch.3
    DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
install(FILES docs/man/holdfastd.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)

# bash-completion finds it by the program's name.
install(FILES client/cli/completion.bash RENAME holdfast
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
