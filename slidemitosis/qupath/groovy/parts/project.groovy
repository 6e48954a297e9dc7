void refuseOutsideProject(Map place) {
    if (place.folder == null)
        refuse('this image is not in a project on this computer, where the table would go; add it to one')
}
