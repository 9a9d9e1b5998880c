/*
 * version - what this build calls itself.
 */
#ifndef SRVD_COMMON_VERSION_H
#define SRVD_COMMON_VERSION_H

/* Tests build others. */
#ifndef SRVD_VERSION
#define SRVD_VERSION "0.1.0"
#endif
#define SRVD_URL "https://srvd.example/"

#endif
