package org.slf4j

import standin.Session

/** Stand-in after slf4j's LoggerFactory and Logger, by which QuPath logs. */
class LoggerFactory {
    static LoggerFactory getLogger(String name) {
        return new LoggerFactory()
    }

    void info(String message) {
        Session.logged << [level: 'info', message: message]
    }

    void error(String message) {
        Session.logged << [level: 'error', message: message]
    }
}
