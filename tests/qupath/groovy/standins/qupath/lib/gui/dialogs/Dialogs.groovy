package qupath.lib.gui.dialogs

import standin.Session

/** Stand-in after QuPath's Dialogs, whose package moved in 0.5. */
class Dialogs {
    static void showErrorMessage(String title, String message) {
        Session.dialogs << [kind: 'error', title: title, message: message]
    }

    static void showErrorMessage(String title, Throwable e) {
        showErrorMessage(title, e.getLocalizedMessage())
    }

    static void showInfoNotification(String title, String message) {
        Session.dialogs << [kind: 'info', title: title, message: message]
    }
}
