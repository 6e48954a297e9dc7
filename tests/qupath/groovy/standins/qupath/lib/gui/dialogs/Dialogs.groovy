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

    static void showErrorNotification(String title, String message) {
        Session.dialogs << [kind: 'error notification', title: title, message: message]
    }

    /** The test has filled in the parameters already, a choice by its number; null is Cancel. */
    static boolean showConfirmDialog(String title, Object content) {
        def shown = Session.parameters.shown
        Session.asked << shown.collectEntries { key, of -> [key, of.clone()] }
        (Session.answer ?: [:]).each { key, value ->
            shown[key].value = shown[key].choices == null ? value : shown[key].choices[value as int]
        }
        return Session.answer != null
    }
}
