package qupath.lib.projects

import com.google.gson.GsonBuilder
import com.google.gson.JsonElement
import com.google.gson.JsonObject
import groovy.transform.CompileStatic
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.Paths
import qupath.lib.common.GeneralTools
import qupath.lib.gui.logging.LogManager
import qupath.lib.images.ImageData
import qupath.lib.io.PathIO
import qupath.lib.objects.hierarchy.PathObjectHierarchy

/** Stand-in after QuPath's ProjectIO. */
@CompileStatic
class ProjectIO {
    static DefaultProject loadProject(File file, Class ofPixels) throws IOException {
        return new DefaultProject(file)
    }
}

class Projects {
}

/** Stand-in after QuPath's DefaultProject, which writes the version that it is of itself. */
@CompileStatic
class DefaultProject {
    private final File file
    private final JsonObject document
    private final List<DefaultProjectImageEntry> entries = []

    DefaultProject(File file) {
        this.file = file
        document = new GsonBuilder().create().fromJson(file.getText('UTF-8'), JsonObject)
        for (JsonElement image : document.getAsJsonArray('images'))
            entries << new DefaultProjectImageEntry(file.getParentFile(), image.getAsJsonObject())
    }

    Path getPath() {
        return file.toPath()
    }

    List<DefaultProjectImageEntry> getImageList() {
        return Collections.unmodifiableList(entries)
    }

    void syncChanges() throws IOException {
        document.addProperty('version', GeneralTools.getVersion())
        file.setText(new GsonBuilder().setPrettyPrinting().create().toJson(document), 'UTF-8')
    }

    /** Stand-in after QuPath's entry of an image. */
    @CompileStatic
    static class DefaultProjectImageEntry {
        private final File base
        private final JsonObject stated
        private final JsonObject metadata

        DefaultProjectImageEntry(File base, JsonObject stated) {
            this.base = base
            this.stated = stated
            metadata = stated.getAsJsonObject('metadata')
        }

        String getID() {
            return stated.get('entryID').getAsString()
        }

        String getImageName() {
            return stated.get('imageName').getAsString()
        }

        Path getEntryPath() {
            return new File(base, "data/${getID()}").toPath()
        }

        private File dataFile() {
            return getEntryPath().resolve('data.qpdata').toFile()
        }

        boolean hasImageData() {
            return dataFile().exists()
        }

        /** QuPath logs what is wrong with a data file, and gives an image without objects. */
        ImageData readImageData() throws IOException {
            def uri = stated.getAsJsonObject('serverBuilder').get('uri').getAsString()
            if (!Files.exists(Paths.get(new URI(uri))))
                throw new IOException("Unable to build ImageServer for ${uri}")
            def data = null as ImageData
            try {
                data = hasImageData() ? PathIO.readImageData(dataFile()) : null
            } catch (Exception e) {
                LogManager.error('Error reading image data', e)
            }
            return data ?: new ImageData(new PathObjectHierarchy(), [:] as Map<String, Object>)
        }

        void saveImageData(ImageData data) throws IOException {
            LogManager.debug("Saving image data to ${dataFile()}")
            PathIO.writeImageData(dataFile(), data)
        }

        String getMetadataValue(String key) {
            return metadata.get(key)?.getAsString()
        }

        Collection<String> getMetadataKeys() {
            def keys = [] as List<String>
            for (Map.Entry<String, JsonElement> entry : metadata.entrySet())
                keys << entry.getKey()
            return keys
        }

        void putMetadataValue(String key, String value) {
            metadata.addProperty(key, value)
        }

        void removeMetadataValue(String key) {
            metadata.remove(key)
        }
    }
}
