package javafx.application

import standin.Session

/** Stand-in after JavaFX's Platform, which runs actions in another thread than the script's. */
class Platform {
    static final String NAME = 'JavaFX Application Thread'

    static void runLater(Runnable work) {
        new Thread(work, NAME).start()
    }

    /** At QuPath's start the script itself is in this thread. */
    static boolean isFxApplicationThread() {
        return Session.atStart || Thread.currentThread().getName() == NAME
    }
}
