package qupath.fx.dialogs

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

    /** The test has chosen already, by the number of the choice; null is Cancel. */
    static <T> T showChoiceDialog(String title, String message, Collection<T> choices, T initial) {
        Session.dialogs << [kind: 'choice', title: title, message: message, choices: new ArrayList(choices)]
        return Session.choice == null ? null : (choices as List)[Session.choice]
    }
}
