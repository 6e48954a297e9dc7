package javafx.stage

import javafx.application.Platform
import standin.Session

/** Stand-in after JavaFX's FileChooser, in which the test has chosen already; null is Cancel. */
class FileChooser {
    String title
    File initialDirectory

    File showOpenDialog(Object owner) {
        assert Thread.currentThread().getName() == Platform.NAME
        assert initialDirectory == null || initialDirectory.isDirectory()
        return Session.chosen
    }
}
